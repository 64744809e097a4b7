import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApp, type TestApp } from '../harness/app.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'

const ROOT = join(import.meta.dirname, '..', '..')

interface OpenApi {
  openapi: string
  paths: Record<string, Record<string, { security: unknown[]; summary?: string }>>
}

let app: TestApp
let description: OpenApi
beforeAll(async () => {
  app = await startApp()
  description = (await (await app.client().get('/openapi.json')).json()) as OpenApi
})
afterAll(() => app.stop())

test('the description of the API is valid', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'openapi.json')
  await writeFile(file, JSON.stringify(description))
  const lint = promisify(execFile)(
    join(ROOT, 'node_modules', '.bin', 'redocly'),
    ['lint', file, '--config', join(ROOT, 'redocly.yaml'), '--format', 'json'],
    { env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' } },
  )
  const { stdout } = await lint.catch((error: { stdout: string }) => error)
  const report = JSON.parse(stdout) as { totals: object; problems: { message: string }[] }
  expect(report.problems.map(({ message }) => message)).toEqual([])
  expect(report.totals).toMatchObject({ errors: 0, warnings: 0 })
})

test('every route is described, but for the pages and files', () => {
  const HIDDEN =
    /^\/(assets|docs|dev|media)\/|^\/(admin\/|reset-password\/|django-rq\/|openapi\.json)?$|^\/admin\/queues\//
  const described = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const routes = app.server.routeTable.entries
    .filter(({ method, path }) => method !== 'HEAD' && !HIDDEN.test(path))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
  expect(routes.length).toBeGreaterThan(15)
  expect(routes.filter((route) => !described.includes(route))).toEqual([])
})

const SIGNED_IN = [{ cookie: [] }, { bearer: [] }]
const SECURITY = {
  public: [],
  viewer: SIGNED_IN,
  superuser: SIGNED_IN,
  monitor: [{}, { metrics: [] }],
}

test('each description says who may call', () => {
  for (const { method, path, access } of app.server.routeTable.entries) {
    const route = description.paths[path.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
    if (!route) continue
    expect([path, route.security]).toEqual([path, SECURITY[access]])
    expect([path, route.summary]).toEqual([path, expect.stringMatching(/./)])
  }
})
