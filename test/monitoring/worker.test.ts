import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { Client } from '../harness/client.ts'
import { freePort } from '../harness/free-port.ts'
import { startCli, type CliOptions } from '../harness/process.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { untilReady } from '../harness/wait.ts'
import { outputs } from '../cli/commands.ts'
import { scrape, valueOf } from './scrape.ts'

const TOKEN = randomBytes(32).toString('base64url')

test('a worker answers to those who watch it, at a port of its own, and to nothing else', async () => {
  await using folder = await temporaryFolder()
  const port = await freePort()
  const env = {
    DATA_DIR: folder.path,
    WORKER_METRICS_PORT: String(port),
    METRICS_TOKEN: TOKEN,
  } satisfies CliOptions['env']
  const worker = startCli({ args: ['worker'], env })
  try {
    const client = new Client(`http://127.0.0.1:${port}`)
    await untilReady(worker, async () => (await client.get('/health/ready')).status === 200)
    expect(await (await client.get('/health/live')).json()).toEqual({ status: 'ok' })
    const samples = await scrape(client)
    expect(valueOf(samples, 'videoflix_database_up')).toBe(1)
    expect(valueOf(samples, 'videoflix_tasks', { kind: 'encode_part', state: 'due' })).toBe(0)

    const forwarded = { 'x-forwarded-for': '192.0.2.1' }
    expect((await client.get('/metrics', { headers: forwarded })).status).toBe(404)
    const authorization = `Bearer ${TOKEN}`
    const withToken = { headers: { ...forwarded, authorization } }
    expect((await client.get('/metrics', withToken)).status).toBe(200)
    for (const path of ['/', '/content/', '/admin/', '/metrics/', '/health/']) {
      expect([path, (await client.get(path)).status]).toEqual([path, 404])
    }
    expect((await client.post('/metrics')).status).toBe(404)

    // Another one of this machine needs another port.
    const second = await outputs(['worker'], env)
    expect(second.code).toBe(1)
    expect(second.stderr.trim().split('\n')).toHaveLength(1)
    expect(second.stderr).toContain('WORKER_METRICS_PORT')

    worker.kill('SIGTERM')
    expect(await worker.exited).toEqual({ code: 0, signal: null })
  } finally {
    await worker.stop()
  }
})
