import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../harness/client.ts'
import { freePort } from '../harness/free-port.ts'
import { startServer } from '../harness/process.ts'
import { has } from '../harness/programs.ts'
import { startRedis } from '../harness/redis.ts'
import { startSmtp } from '../harness/smtp.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import { outputs, standIn, type Outcome } from './commands.ts'

const PASSWORD = 'correct horse battery'

test('`migrate` may be repeated', async () => {
  await using folder = await temporaryFolder()
  const env = { DATA_DIR: folder.path }
  const first = await outputs(['migrate'], env)
  expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^applied 0001-first/) })
  const second = await outputs(['migrate'], env)
  expect(second).toMatchObject({ code: 0, stdout: 'The schema is up to date.\n' })
})

describe('a database that cannot be used is told in one line', () => {
  let folder: TemporaryFolder
  let env: Record<string, string>
  let backup: string
  beforeAll(async () => {
    folder = await temporaryFolder()
    env = { DATA_DIR: join(folder.path, 'data') }
    backup = join(folder.path, 'backup')
    for (const args of [['migrate'], ['backup', backup]]) await outputs(args, env)
  })
  afterAll(() => folder.remove())

  test('before anything is restored', async () => {
    const garbage = join(folder.path, 'garbage')
    await mkdir(garbage)
    await writeFile(join(garbage, 'videoflix.sqlite3'), 'This is no database.'.repeat(100))
    const nobody = `postgres://videoflix:a-secret@127.0.0.1:${await freePort()}/videoflix`
    const unusable: [Record<string, string>, string][] = [
      [{ DATA_DIR: garbage }, '(file is not a database) at'],
      [{ ...env, DATABASE_URL: nobody }, 'ECONNREFUSED'],
    ]
    for (const [settings, reason] of unusable) {
      const { code, stderr } = await outputs(['restore', backup], settings)
      expect(code).toBe(1)
      expect(stderr.trim().split('\n')).toEqual([expect.stringContaining(reason)])
      expect(stderr).toMatch(/^videoflix: The database cannot be used .*: check /)
    }
  })

  test('where it goes away during a command', async () => {
    const other = new Sqlite(join(folder.path, 'data', 'videoflix.sqlite3'))
    other.exec('begin immediate')
    const outcome = await outputs(['restore', backup], env)
    other.close()
    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'videoflix: The database cannot be used now (database is locked). Run this again once it can.\n',
    })
  })
})

describe('`createsuperuser`', () => {
  let folder: TemporaryFolder
  beforeAll(async () => {
    folder = await temporaryFolder()
  })
  afterAll(() => folder.remove())
  const create = (args: string[], env: Record<string, string> = {}): Promise<Outcome> =>
    outputs(['createsuperuser', ...args], { DATA_DIR: folder.path, ...env })

  test('makes one from options, who can sign in', async () => {
    const made = await create(['--email', ' Root@Example.com ', '--password', PASSWORD])
    expect(made).toMatchObject({ code: 0, stdout: 'Superuser root@example.com was made.\n' })
    await using server = await startServer({ env: { DATA_DIR: folder.path } })
    const client = new Client(server.url)
    const reply = await client.post('/users/login/', {
      email: 'root@example.com',
      password: PASSWORD,
    })
    expect(reply.status).toBe(200)
    expect((await client.get('/admin/api/videos/')).status).toBe(200)
    expect(server.output()).not.toContain('A first superuser')
  })

  test('makes one from the environment', async () => {
    const env = { DJANGO_SUPERUSER_EMAIL: 'env@example.com', DJANGO_SUPERUSER_PASSWORD: PASSWORD }
    expect(await create([], env)).toMatchObject({ code: 0 })
  })

  test.each([
    ['an address that is taken', ['--email', 'env@example.com', '--password', PASSWORD], 'already'],
    ['no address', ['--email', 'nobody', '--password', PASSWORD], 'valid email'],
    ['a weak password', ['--email', 'a@example.com', '--password', 'short'], 'password'],
    ['nothing said and nobody to ask', [], '--email'],
  ])('refuses %s in one line', async (_name, args, reason) => {
    const { code, stdout, stderr } = await create(args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain(reason)
  })
})

describe('`doctor`', () => {
  const examine = async (env: Record<string, string>): Promise<Outcome> => {
    await using folder = await temporaryFolder()
    return await outputs(['doctor'], { DATA_DIR: folder.path, MIN_FREE_DISK_BYTES: '0', ...env })
  }

  test('finds nothing wrong where nothing is', async () => {
    await using smtp = await startSmtp()
    const env = { EMAIL_HOST: '127.0.0.1', EMAIL_PORT: String(smtp.port) }
    const { code, stdout } = await examine(env)
    expect(stdout).not.toContain('PROBLEM')
    for (const part of ['ffmpeg', 'database', 'storage', 'mail', 'clock', 'disk']) {
      expect(stdout).toMatch(new RegExp(`^(ok|warning) +${part} `, 'm'))
    }
    expect(code).toBe(0)
  })

  test('says what to do about an ffmpeg that does not start', async () => {
    const { code, stdout } = await examine({ FFMPEG_BIN: '/nonexistent/ffmpeg' })
    expect(code).toBe(1)
    expect(stdout).toMatch(/^PROBLEM +ffmpeg +ffmpeg cannot be started .*apt install ffmpeg/m)
    expect(stdout).toMatch(/^(ok|warning) +database /m)
  })

  test('says what to do about an ffmpeg without libx264', async () => {
    await using folder = await temporaryFolder()
    const bin = await standIn(folder.path, 'ffmpeg "$@" | grep -v libx264')
    const { code, stdout } = await examine({ FFMPEG_BIN: bin, FFPROBE_BIN: 'ffprobe' })
    expect(code).toBe(1)
    expect(stdout).toMatch(/^PROBLEM +ffmpeg +ffmpeg has no encoder libx264\. Install/m)
  })

  test('says what to do about mail that nobody takes', async () => {
    const port = String(await freePort())
    const { code, stdout } = await examine({ EMAIL_HOST: '127.0.0.1', EMAIL_PORT: port })
    expect(code).toBe(1)
    expect(stdout).toMatch(/^PROBLEM +mail +\S.*EMAIL_/m)
    expect(stdout).not.toMatch(/\n\s+at /)
  })

  test.skipIf(!has('redis'))('tells whether there is a Redis, and which', async () => {
    await using redis = await startRedis()
    const { stdout } = await examine({ REDIS_HOST: '127.0.0.1', REDIS_PORT: `${redis.port}` })
    expect(stdout).toMatch(/^ok +redis +Redis \d+\.\S+ answers at 127\.0\.0\.1:\d+$/m)
    redis.kill('SIGSTOP')
    const frozen = await examine({ REDIS_URL: redis.url })
    expect(frozen).toMatchObject({ code: 1 })
    expect(frozen.stdout).toMatch(/^PROBLEM +redis +Redis at \S+ does not answer\..*REDIS_/m)
    const gone = await examine({ REDIS_URL: `redis://:a-secret@127.0.0.1:${await freePort()}` })
    expect(gone.stdout).toMatch(/^PROBLEM +redis +Redis at \S+ does not answer\..*REDIS_/m)
    expect(gone.stdout + gone.stderr).not.toContain('a-secret')
  })

  test('says what to do about a PostgreSQL that is away, and judges nothing that needs it', async () => {
    const port = await freePort()
    const url = `postgres://videoflix:a-secret@127.0.0.1:${port}/videoflix`
    const { code, stdout, stderr } = await examine({ DATABASE_URL: url })
    expect(code).toBe(1)
    expect(stdout).toMatch(/^PROBLEM +database .*ECONNREFUSED.*check DATABASE_URL or DB_\*/m)
    for (const part of ['tasks', 'clock']) {
      expect(stdout).toMatch(new RegExp(`^warning +${part} +not checked, as the database`, 'm'))
    }
    expect(stdout + stderr).not.toContain('a-secret')
  })

  test('says what to do about a full disk', async () => {
    const { code, stdout } = await examine({ MIN_FREE_DISK_BYTES: String(2 ** 52) })
    expect(code).toBe(1)
    expect(stdout).toMatch(/^PROBLEM +disk .*Free some space/m)
  })
})

test('an unknown command says which there are', async () => {
  const { code, stderr } = await outputs(['frobnicate'], {})
  expect(code).toBe(1)
  expect(stderr).toContain('serve')
})
