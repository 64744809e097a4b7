import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApp, type TestApp } from '../harness/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app.stop())

test.each(['/', '/admin/', '/docs/', '/reset-password/'])(
  '%s is a page that loads from this server alone',
  async (path) => {
    const reply = await app.client().get(path)
    expect([reply.status, reply.headers.get('content-type')]).toEqual([
      200,
      'text/html; charset=utf-8',
    ])
    const policy = reply.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self';")
    expect(policy).toContain("frame-ancestors 'none'")
    const page = await reply.text()
    const files = [...page.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, url = '']) => url)
    expect(files.filter((url) => !/^\/[^/]/.test(url) && url !== '/')).toEqual([])
    for (const file of new Set(files)) {
      expect([file, (await app.client().get(file)).status]).toEqual([file, 200])
    }
    const head = await app.client().request(path, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  },
)

test('the address of the old job list leads to the administration', async () => {
  const reply = await app.client().get('/django-rq/')
  expect([reply.status, reply.headers.get('location')]).toEqual([302, '/admin/'])
})
