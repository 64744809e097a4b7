import { expect, test } from 'vitest'
import { Client } from '../harness/client.ts'
import { startPostgres } from '../harness/postgres.ts'
import { startServer } from '../harness/process.ts'
import { has } from '../harness/programs.ts'
import { startRedis } from '../harness/redis.ts'
import { scrape, valueOf } from './scrape.ts'

const SOON = { timeout: 30_000, interval: 250 }

test.skipIf(!has('postgres'))(
  'without a database the process tells what it knows itself, and is alive but not ready',
  async () => {
    await using postgres = await startPostgres()
    await using server = await startServer({
      env: { DATABASE_URL: await postgres.databaseUrl(), TRANSCODE_LOCALLY: 'False' },
    })
    const client = new Client(server.url)
    const ready = async () => {
      const reply = await client.get('/health/ready')
      return [reply.status, ((await reply.json()) as { reason?: string }).reason]
    }
    const up = async () => valueOf(await scrape(client), 'videoflix_database_up')
    expect(await up()).toBe(1)
    expect(await ready()).toEqual([200, undefined])

    // Frozen, it neither answers nor refuses.
    await postgres.freeze()
    await expect.poll(up, SOON).toBe(0)
    const samples = await scrape(client)
    expect(valueOf(samples, 'process_resident_memory_bytes')).toBeGreaterThan(0)
    expect(samples.filter(({ name }) => name === 'videoflix_tasks')).toEqual([])
    expect(await ready()).toEqual([503, 'The database does not answer.'])
    expect((await client.get('/health/live')).status).toBe(200)

    postgres.thaw()
    await expect.poll(up, SOON).toBe(1)
    await expect.poll(ready, SOON).toEqual([200, undefined])
  },
)

test.skipIf(!has('redis'))(
  'without Redis a server is ready, and says that it is gone',
  async () => {
    await using redis = await startRedis()
    await using server = await startServer({ env: { REDIS_URL: redis.url } })
    const client = new Client(server.url)
    const up = async () => valueOf(await scrape(client), 'videoflix_redis_up')
    await expect.poll(up, SOON).toBe(1)
    redis.kill('SIGKILL')
    await expect.poll(up, SOON).toBe(0)
    expect((await client.get('/health/ready')).status).toBe(200)
  },
)
