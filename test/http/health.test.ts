import { expect, test } from 'vitest'
import { BACKENDS, startApp } from '../harness/app.ts'

test.each(BACKENDS)('health tells what works, and what does not, on %s', async (backend) => {
  await using app = await startApp({ backend })
  const healthy = await app.client().get('/health/')
  expect([healthy.status, await healthy.json()]).toEqual([
    200,
    { status: 'ok', components: { database: 'ok', cache: 'ok' } },
  ])
  expect(healthy.headers.get('cache-control')).toBe('no-store')
  expect((await app.client().request('/health/', { method: 'HEAD' })).status).toBe(200)
  expect(await (await app.client().get('/')).text()).toContain('Everything works.')

  await app.app.db.destroy()
  const sick = await app.client().get('/health/')
  expect([sick.status, await sick.json()]).toEqual([
    503,
    { status: 'error', components: { database: 'error', cache: 'ok' } },
  ])
  expect(await (await app.client().get('/')).text()).toContain('Not everything works: database.')
})
