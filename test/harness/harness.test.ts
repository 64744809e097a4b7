import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createTransport } from 'nodemailer'
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { startApp } from './app.ts'
import { startChild } from './child.ts'
import { startChromium } from './chromium.ts'
import { startPostgres } from './postgres.ts'
import { has } from './programs.ts'
import { hasS3, startS3 } from './s3.ts'
import { sendToRedis, startRedis } from './redis.ts'
import { startSmtp } from './smtp.ts'
import { putStored, storedKeys } from './stored.ts'

test.skipIf(!has('postgres'))('gives each caller an empty PostgreSQL database', async () => {
  await using postgres = await startPostgres()
  const urls = [await postgres.databaseUrl(), await postgres.databaseUrl()]
  for (const url of urls) {
    const client = new Client(url)
    await client.connect()
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    // The second database would refuse this if it were the first.
    await client.query('create table films (id int)')
    await client.end()
  }
})

test.skipIf(!has('postgres'))(
  'a PostgreSQL may be killed and come back, and freeze and thaw',
  async () => {
    await using postgres = await startPostgres()
    const url = await postgres.databaseUrl()
    const query = async (sql: string): Promise<unknown[]> => {
      const client = new Client(url)
      client.on('error', () => {})
      await client.connect()
      try {
        return (await client.query(sql)).rows as unknown[]
      } finally {
        await client.end()
      }
    }
    await query('create table films as select 7 as id')
    await postgres.kill()
    await expect(query('select 1')).rejects.toThrow('ECONNREFUSED')
    await postgres.comeBack()
    expect(await query('select id from films')).toEqual([{ id: 7 }])

    await postgres.freeze()
    let isAnswered = false
    const answer = query('select id from films').finally(() => (isAnswered = true))
    // The kernel still accepts connections.
    await once(connect(postgres.port, '127.0.0.1'), 'connect')
    expect(isAnswered).toBe(false)
    postgres.thaw()
    expect(await answer).toEqual([{ id: 7 }])
  },
)

test.skipIf(!has('redis'))('gives a Redis server that answers, until it is stopped', async () => {
  const redis = await startRedis()
  expect(await sendToRedis(redis.port, 'PING')).toBe('+PONG')
  await redis.stop()
  await expect(sendToRedis(redis.port, 'PING')).rejects.toThrow('ECONNREFUSED')
})

test.skipIf(!hasS3)(
  'gives an S3 service with private, empty buckets, which may go away',
  async () => {
    await using s3 = await startS3()
    const names = [await s3.bucket(), await s3.bucket()]
    expect(new Set(names).size).toBe(2)
    const statuses = await Promise.all(names.map((name) => fetch(`${s3.endpoint}/${name}/`)))
    expect(statuses.map(({ status }) => status)).toEqual([403, 403])
    await s3.goAway()
    await expect(fetch(s3.endpoint)).rejects.toThrow('fetch failed')
    await s3.comeBack()
    expect((await fetch(`${s3.endpoint}/${names[0]}/`)).status).toBe(403)
  },
)

test.skipIf(!hasS3)(
  'shares one S3 among all apps, and leaves nothing of theirs in it',
  async () => {
    const [one, other] = await Promise.all([startApp({ media: 's3' }), startApp({ media: 's3' })])
    expect(one.s3?.endpoint).toBe(other.s3?.endpoint)
    expect(one.settings.s3?.bucket).not.toBe(other.settings.s3?.bucket)
    await putStored(one, 'media', 'film', 'bytes')
    expect(await storedKeys(one, 'media')).toEqual(['film'])
    expect(await storedKeys(other, 'media')).toEqual([])
    await one.stop()
    expect(await storedKeys(one, 'media')).toEqual([])
    await other.stop()
  },
)

const MAIL = { from: 'films@example.com', to: 'Ada@example.com', subject: 'Hello', text: 'Hi Ada' }

test('collects mails, each handed out once', async () => {
  await using smtp = await startSmtp()
  const transport = createTransport({ host: '127.0.0.1', port: smtp.port, secure: false })
  const waiting = smtp.waitForMail('ada@example.com')
  await transport.sendMail(MAIL)
  await transport.sendMail({ ...MAIL, subject: 'Again' })
  expect(await waiting).toMatchObject({ subject: 'Hello', text: 'Hi Ada\n' })
  expect(await smtp.waitForMail('ada@example.com')).toMatchObject({ subject: 'Again' })
  await expect(smtp.waitForMail('ada@example.com', 50)).rejects.toThrow('No mail to ada')
  expect(smtp.mails).toHaveLength(2)
})

test('refuses mails, or never answers, as a real server may', async () => {
  await using smtp = await startSmtp('refuse')
  const transport = createTransport({ host: '127.0.0.1', port: smtp.port, socketTimeout: 300 })
  await expect(transport.sendMail(MAIL)).rejects.toThrow('550 mailbox unavailable')
  smtp.behaviour = 'hang'
  await expect(transport.sendMail(MAIL)).rejects.toThrow(/timeout/i)
  expect(smtp.mails).toEqual([])
})

test.skipIf(!has('chromium'))('renders a page in Chromium', async () => {
  await using browser = await startChromium()
  const page = await browser.context.newPage()
  await page.goto('data:text/html,<video></video><p id=answer></p>')
  await page.evaluate("document.getElementById('answer').textContent = `${6 * 7}`")
  expect(await page.textContent('#answer')).toBe('42')
  expect(await page.evaluate("MediaSource.isTypeSupported('video/mp4; codecs=avc1.64001f')")).toBe(
    true,
  )
})

test('ends a whole process group', async () => {
  const child = startChild('sh', ['-c', 'sleep 600 & echo $!; wait'])
  await expect.poll(() => child.output()).toMatch(/\d/)
  child.kill('SIGKILL')
  expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' })
  await expect.poll(() => isAlive(Number(child.output()))).toBe(false)
})

test('leaves nothing when the test process is killed', async () => {
  const harness = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
  const program = `
    import { startChild } from ${harness('child.ts')}
    import { temporaryFolder } from ${harness('temporary-folder.ts')}
    const folder = await temporaryFolder()
    const { pid } = startChild('sleep', ['600'])
    console.log(JSON.stringify({ pid, path: folder.path }))
    setInterval(() => {}, 1000)`
  const tests = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(tests.stdout, 'data')) as [Buffer]
  const { pid, path } = JSON.parse(line.toString()) as { pid: number; path: string }
  expect([isAlive(pid), existsSync(path)]).toEqual([true, true])

  tests.kill('SIGKILL')
  await expect
    .poll(() => [isAlive(pid), existsSync(path)], { timeout: 10_000 })
    .toEqual([false, false])
})

test('the set-up has nothing to do, quickly, once it is done', async () => {
  const setup = fileURLToPath(new URL('../../bin/setup.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [setup, 'start'])
  expect(stdout).toBe('')
})

/** A zombie counts as gone: in a container nobody may be there to reap it. */
function isAlive(pid: number): boolean {
  try {
    if (existsSync('/proc/self/stat'))
      return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
