import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { readSettings } from '../../server/src/config/settings.ts'
import { Client } from '../harness/client.ts'
import { startServer } from '../harness/process.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { badFilm } from '../films.ts'
import { adminVideo, upload } from '../videos/library.ts'
import { startCollector, type Collector } from './collector.ts'

const PASSWORD = 'correct horse battery'
const EMAIL = 'traced@example.com'
const ADMIN = { DJANGO_SUPERUSER_EMAIL: EMAIL, DJANGO_SUPERUSER_PASSWORD: PASSWORD }
const SOON = { timeout: 120_000, interval: 200 }

const startTraced = (collector: Collector, env: Record<string, string> = {}) =>
  startServer({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '200',
      ...ADMIN,
      ...env,
    },
  })

async function signIn(url: string): Promise<Client> {
  const client = new Client(url)
  const reply = await client.post('/users/login/', { email: EMAIL, password: PASSWORD })
  expect(reply.status).toBe(200)
  return client
}

test('requests are parts of their clients’ traces, and say nothing of people, secrets or paths', async () => {
  await using collector = await startCollector()
  await using server = await startTraced(collector, {
    OTEL_SERVICE_NAME: 'films',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-team=video',
  })
  const client = await signIn(server.url)
  const [traceId, parentId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
  const headers = { traceparent: `00-${traceId}-${parentId}-01` }
  await client.get('/content/?q=hidden-query', { headers })
  await client.get('/hidden-path')
  await client.get('/content/video-url/987654/?quality=720p&signature=hidden-signature')
  await client.get('/health/ready')
  await client.get('/metrics')
  await new Client(server.url).get('/content/')
  server.kill('SIGTERM')
  // What was not sent yet is sent before the end.
  expect(await server.exited).toEqual({ code: 0, signal: null })

  const named = (name: string) => collector.spans.filter((span) => span.name === name)
  const [list, refused] = named('GET /content/')
  expect(list).toMatchObject({ traceId, parentId, isError: false })
  expect(list?.attributes).toEqual({
    'http.request.method': 'GET',
    'http.route': '/content/',
    'http.response.status_code': 200,
  })
  expect(list?.durationMs).toBeGreaterThan(0)
  expect(list?.resource).toMatchObject({
    'service.name': 'films',
    'service.version': expect.any(String),
    'deployment.environment.name': 'test',
  })
  expect(refused?.attributes['http.response.status_code']).toBe(401)
  expect(refused?.traceId).not.toBe(traceId)
  expect(named('POST /users/login/')).toHaveLength(1)
  expect(named('GET')[0]?.attributes['http.response.status_code']).toBe(404)
  expect(collector.spans.filter(({ name }) => /health|metrics/.test(name))).toEqual([])
  expect(collector.team()).toBe('video')
  const secrets = [EMAIL, PASSWORD, 'hidden', '987654', ...client.cookies.values()]
  for (const secret of secrets) expect(collector.bytes()).not.toContain(secret)
})

test('a film’s tasks are spans, and the programs that they run are in them', async () => {
  await using collector = await startCollector()
  await using server = await startTraced(collector)
  const admin = await signIn(server.url)
  const good = await upload(admin)
  const bad = await upload(admin, { path: await badFilm('garbage') })
  const state = async (id: number) => (await adminVideo(admin, id)).processing_state
  await expect.poll(() => state(good.id), SOON).toBe('ready')
  await expect.poll(() => state(bad.id), SOON).toBe('error')
  server.kill('SIGTERM')
  await server.exited

  const { spans } = collector
  const encoding = spans.find(
    ({ name, attributes }) =>
      name === 'task encode_part' && attributes['videoflix.video.id'] === good.id,
  )
  expect(encoding).toMatchObject({ parentId: '', isError: false })
  expect(encoding?.attributes).toMatchObject({
    'videoflix.task.kind': 'encode_part',
    'videoflix.task.attempt': 1,
    'videoflix.task.outcome': 'done',
    'videoflix.source.id': expect.any(Number),
    'videoflix.step': 'encode',
  })
  const inside = spans.filter(({ parentId }) => parentId === encoding?.spanId)
  expect(inside.map(({ name }) => name)).toContain('ffmpeg')
  for (const { traceId } of inside) expect(traceId).toBe(encoding?.traceId)
  expect(inside.find(({ name }) => name === 'ffmpeg')?.attributes['process.exit.code']).toBe(0)

  const failed = spans.find(
    ({ name, attributes }) =>
      name === 'task process_source' && attributes['videoflix.video.id'] === bad.id,
  )
  expect(failed?.isError).toBe(true)
  expect(failed?.attributes).toMatchObject({
    'videoflix.task.outcome': 'failed',
    'error.type': 'not_a_video',
  })
  // No path of a file, and no name that a person gave.
  expect(collector.bytes()).not.toContain('/originals/')
  expect(collector.bytes()).not.toContain(good.title)
})

test('the sampler decides which traces are sent', async () => {
  await using collector = await startCollector()
  await using server = await startTraced(collector, {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0',
  })
  const client = new Client(server.url)
  const flags = (sampled: string) => ({
    headers: { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-${sampled}` },
  })
  await client.get('/openapi.json')
  await client.get('/openapi.json', flags('00'))
  await client.get('/openapi.json', flags('01'))
  server.kill('SIGTERM')
  await server.exited
  expect(collector.spans.map(({ name, traceId }) => [name, traceId])).toEqual([
    ['GET /openapi.json', '1'.repeat(32)],
  ])
})

test('a collector that is away costs warnings, and the server ends in order', async () => {
  await using server = await startServer({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', ...ADMIN },
  })
  const client = await signIn(server.url)
  expect((await client.get('/content/')).status).toBe(200)
  server.kill('SIGTERM')
  expect(await server.exited).toEqual({ code: 0, signal: null })
  expect(server.output()).toContain('traces: ')
})

test('nothing of it is loaded unless somebody wants traces', async () => {
  const loaded = async (env: Record<string, string>): Promise<string[]> => {
    await using folder = await temporaryFolder()
    const log = join(folder.path, 'modules')
    const hook = pathToFileURL(join(import.meta.dirname, 'module-log.mjs')).href
    await using server = await startServer({
      env: { MODULE_LOG: log, NODE_OPTIONS: `--import=${hook}`, ...env },
    })
    expect((await fetch(`${server.url}/openapi.json`)).status).toBe(200)
    const urls = (await readFile(log, 'utf8')).split('\n')
    return urls.filter((url) => /node_modules\/(@opentelemetry|prom-client)\//.test(url))
  }
  const isTracing = (url: string): boolean => url.includes('@opentelemetry')
  const without = await loaded({})
  expect(without.length).toBeGreaterThan(0)
  expect(without.filter(isTracing)).toEqual([])
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }
  expect((await loaded(endpoint)).some(isTracing)).toBe(true)
})

test.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', 'write a full URL'],
  ['OTEL_TRACES_SAMPLER', 'sometimes', 'write one of always_on'],
  ['OTEL_TRACES_SAMPLER_ARG', '1.5', 'write a number from 0 to 1'],
])('%s=%s keeps the server from starting', (name, value, remedy) => {
  const read = () => readSettings({ [name]: value }, '/x')
  expect(read).toThrow(name)
  expect(read).toThrow(remedy)
})
