import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseSettings } from '../../server/src/config/database-settings.ts'
import { openDatabase } from '../../server/src/db/database.ts'
import { anAuthority, type Authority } from '../harness/certificates.ts'
import { startPostgres, type Postgres } from '../harness/postgres.ts'
import { startCli } from '../harness/process.ts'
import { has } from '../harness/programs.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'

const PASSWORD = `p@ss:w/o?r#d%2F "'\\&=+ü`

describe.skipIf(!has('postgres'))('PostgreSQL with TLS', () => {
  let ours: Authority
  let theirs: Authority
  let postgres: Postgres
  let plain: Postgres
  beforeAll(async () => {
    ;[ours, theirs] = await Promise.all([anAuthority(), anAuthority()])
    const tls = await ours.issue('DNS:localhost')
    postgres = await startPostgres({ tls, password: PASSWORD })
    plain = await startPostgres()
  })
  afterAll(async () => {
    await Promise.all([postgres.stop(), plain.stop()])
    await Promise.all([ours[Symbol.asyncDispose](), theirs[Symbol.asyncDispose]()])
  })

  const variables = (server: Postgres, host: string) => ({
    ...parts(server, host),
    DB_PORT: String(server.port),
  })

  const parts = (server: Postgres, host: string) => ({
    DB_NAME: 'postgres',
    DB_USER: 'postgres',
    DB_PASSWORD: PASSWORD,
    DB_HOST: host,
    DB_PORT: server.port,
  })

  /** Whether the connection is encrypted, as the server sees it. */
  async function isEncrypted(env: Parameters<typeof databaseSettings>[0]): Promise<unknown> {
    const db = await openDatabase(databaseSettings(env, ''))
    try {
      const { rows } = await sql<{ ssl: boolean }>`
        select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(db)
      return rows[0]?.ssl
    } finally {
      await db.destroy()
    }
  }

  /** What `videoflix migrate` says when it refuses. */
  async function refusal(env: Record<string, string>): Promise<string> {
    await using folder = await temporaryFolder()
    const child = startCli({
      args: ['migrate'],
      env: { DEBUG: 'True', DATA_DIR: folder.path, ...env },
    })
    expect((await child.exited).code).toBe(1)
    return child.output()
  }

  test('is not asked for unless somebody says so', async () => {
    expect(await isEncrypted(parts(postgres, 'localhost'))).toBe(false)
  })

  test('is used with DB_SSL_REQUIRE, whoever issued the certificate', async () => {
    expect(await isEncrypted({ ...parts(postgres, '127.0.0.1'), DB_SSL_REQUIRE: true })).toBe(true)
  })

  test('is used with DB_SSL_ROOTCERT, for the name in the certificate', async () => {
    const env = { ...parts(postgres, 'localhost'), DB_SSL_ROOTCERT: ours.certificateFile }
    expect(await isEncrypted(env)).toBe(true)
  })

  test.each([
    ['sslmode=require', '127.0.0.1', true],
    ['sslmode=disable', 'localhost', false],
    ['sslmode=verify-full', 'localhost', true],
  ])('is as %s in a URL says', async (parameter, host, expected) => {
    const login = `postgres:${encodeURIComponent(PASSWORD)}`
    const url = `postgresql://${login}@${host}:${postgres.port}/postgres?${parameter}`
    const root = parameter.endsWith('full') ? `&sslrootcert=${ours.certificateFile}` : ''
    expect(await isEncrypted({ DATABASE_URL: url + root })).toBe(expected)
  })

  test('another authority is refused, and the setting named', async () => {
    const env = { ...variables(postgres, 'localhost'), DB_SSL_ROOTCERT: theirs.certificateFile }
    const output = await refusal(env)
    expect(output).toContain('DB_SSL_ROOTCERT must name the file of the authority that issued it')
    expect(output).not.toContain('    at ')
  })

  test('another host name is refused', async () => {
    const env = { ...variables(postgres, '127.0.0.1'), DB_SSL_ROOTCERT: ours.certificateFile }
    expect(await refusal(env)).toContain('its certificate is for another name')
  })

  test('a certificate that nobody vouches for is refused by sslmode=verify-full', async () => {
    const login = `postgres:${encodeURIComponent(PASSWORD)}`
    const url = `postgresql://${login}@localhost:${postgres.port}/postgres?sslmode=verify-full`
    expect(await refusal({ DATABASE_URL: url })).toContain('its certificate was not accepted')
  })

  test.each([{ DB_SSL_REQUIRE: 'True' }, { DB_SSL_ROOTCERT: '' }])(
    'a server without TLS is refused when it is required: %j',
    async (setting) => {
      const file = 'DB_SSL_ROOTCERT' in setting && { DB_SSL_ROOTCERT: ours.certificateFile }
      const env = { ...variables(plain, 'localhost'), ...setting, ...file }
      expect(await refusal(env)).toContain('it offers no TLS')
    },
  )

  test('a file that cannot be read is refused', async () => {
    const env = { ...variables(postgres, 'localhost'), DB_SSL_ROOTCERT: '/nowhere/ca.crt' }
    expect(await refusal(env)).toMatch(/DB_SSL_ROOTCERT: the file \/nowhere\/ca.crt cannot be read/)
  })

  test('a wrong password is refused in one line', async () => {
    const output = await refusal({ ...variables(postgres, 'localhost'), DB_PASSWORD: 'wrong' })
    expect(output).toMatch(/password authentication failed.*check DATABASE_URL or DB_\*/)
    expect(output.trim().split('\n')).toHaveLength(1)
  })

  test('a unix socket is used with its folder as the host', async () => {
    expect(await isEncrypted(parts(postgres, postgres.socketFolder))).toBe(false)
    const login = `postgres:${encodeURIComponent(PASSWORD)}`
    const query = `host=${postgres.socketFolder}&port=${postgres.port}`
    const url = `postgresql://${login}@/postgres?${query}`
    expect(await isEncrypted({ DATABASE_URL: url })).toBe(false)
  })
})
