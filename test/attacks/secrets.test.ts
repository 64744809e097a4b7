import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { Secret, TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { databaseSettings } from '../../server/src/config/database-settings.ts'
import { openDatabase } from '../../server/src/db/database.ts'
import { BACKENDS } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { startPostgres } from '../harness/postgres.ts'
import { startServer } from '../harness/process.ts'
import { startSmtp, type Smtp } from '../harness/smtp.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { ADMIN, OPEN_ENV, signIn } from './servers.ts'

const SECRET_KEY = 'Zk3vQ8mW1xT6yB9nC4jH7gD2fS5aP0rL'
const OLD_KEY = 'aP0rLfS5gD2jH7nC4yB9xT6mW1vQ8Zk3'
const SMTP_PASSWORD = 'the password of the mail server'
const PASSWORDS = {
  first: 'two horses and a stapler',
  wrong: 'three horses and no stapler',
  reset: 'four lamps in a row',
  changed: 'five lamps in a circle',
}

describe.each(BACKENDS)('a server that was used, on %s', (backend) => {
  test('keeps nothing that opens anything: database, files and log', async () => {
    await using folder = await temporaryFolder()
    await using smtp = await startSmtp()
    await using postgres = backend === 'postgres' ? await startPostgres() : null
    const databaseUrl = await postgres?.databaseUrl()
    const server = await startServer({
      env: {
        ...OPEN_ENV,
        DEBUG: 'False',
        TRANSCODE_LOCALLY: 'True',
        LOG_LEVEL: 'trace',
        DATA_DIR: folder.path,
        SECRET_KEY,
        SECRET_KEY_FALLBACKS: OLD_KEY,
        JWT_COOKIE_SECURE: 'False',
        EMAIL_HOST: '127.0.0.1',
        EMAIL_PORT: String(smtp.port),
        EMAIL_HOST_USER: 'films',
        EMAIL_HOST_PASSWORD: SMTP_PASSWORD,
        ...(databaseUrl && { DATABASE_URL: databaseUrl }),
      },
    })
    const secrets = new Map<string, string>([
      ['SECRET_KEY', SECRET_KEY],
      ['an earlier SECRET_KEY', OLD_KEY],
      ['EMAIL_HOST_PASSWORD', SMTP_PASSWORD],
      ['the superuser’s password', ADMIN.password],
      ...Object.entries(PASSWORDS).map(([name, text]) => [`password ${name}`, text] as const),
    ])
    try {
      await live(server.url, smtp, secrets)
    } finally {
      await server.stop()
    }
    expect(secrets.size).toBeGreaterThan(25)

    const places = new Map<string, Buffer>([
      ['the log', Buffer.from(server.output())],
      ['the database', Buffer.from(await dumpOf(folder.path, databaseUrl))],
    ])
    for (const [path, bytes] of await filesBelow(folder.path)) places.set(path, bytes)
    // The premise: these are the right places, and a search finds what is there.
    expect(places.get('the database')?.includes('somebody@example.com')).toBe(true)
    expect(places.get('the database')?.includes('$argon2id$')).toBe(true)
    expect(
      places.get('the log')?.includes('"audit":') || places.get('the log')?.includes('login'),
    ).toBe(true)
    const found: string[] = []
    for (const [what, secret] of secrets) {
      expect([what, secret.length > 5]).toEqual([what, true])
      for (const [where, bytes] of places) {
        if (spellingsOf(secret).some((text) => bytes.includes(text)))
          found.push(`${what} in ${where}`)
      }
    }
    expect(found).toEqual([])
  })
})

/** Everything that people do, with every secret that comes by. */
async function live(url: string, smtp: Smtp, secrets: Map<string, string>): Promise<void> {
  const email = 'somebody@example.com'
  const note = (what: string, value: string | undefined) => {
    if (!value) throw new Error(`no ${what}`)
    secrets.set(what, value)
    return value
  }
  const keepCookies = (when: string, client: Client) => {
    for (const [name, value] of client.cookies) {
      note(`${name} ${when}`, value)
      // Its last part is what nobody else can make.
      note(`signature of ${name} ${when}`, value.split('.').at(-1))
    }
  }
  const linkFrom = async (
    subject: string,
  ): Promise<{ uid: string; token: string; path: string }> => {
    for (;;) {
      const mail = await smtp.waitForMail(email)
      if (mail.subject !== subject) continue
      const [, link = ''] = /<a href="([^"]+)"/.exec(mail.html || '') ?? []
      const { searchParams, pathname, search } = new URL(link.replaceAll('&amp;', '&'))
      const token = note(`token of “${subject}”`, searchParams.get('token') ?? undefined)
      return { uid: searchParams.get('uid') ?? '', token, path: pathname + search }
    }
  }
  const expecting = async (status: number, reply: Promise<Response>): Promise<Response> => {
    const given = await reply
    if (given.status !== status) throw new Error(`${given.status}: ${await given.text()}`)
    return given
  }

  const client = new Client(url)
  const { first, wrong, reset, changed } = PASSWORDS
  const form = { email, password: first, confirm_password: first }
  await expecting(201, client.post('/users/register/', form))
  await expecting(400, client.post('/users/register/', form))
  await expecting(302, client.get((await linkFrom('Confirm Your Videoflix Account')).path))
  await expecting(400, client.post('/users/login/', { email, password: wrong }))
  await expecting(200, client.post('/users/login/', { email, password: first, remember: true }))
  keepCookies('at first', client)
  await expecting(200, client.post('/users/refresh/'))
  keepCookies('refreshed', client)
  await expecting(
    401,
    new Client(url).get('/content/', {
      headers: { authorization: `Bearer ${client.cookies.get('vf_access')}x` },
    }),
  )

  await expecting(200, client.post('/users/forgot-password/', { email }))
  const unused = await linkFrom('Reset Your Password')
  await expecting(200, client.post('/users/forgot-password/', { email }))
  const link = await linkFrom('Reset Your Password')
  note('the unused link', unused.token)
  await expecting(200, client.post('/users/reset-password/', { ...link, new_password: reset }))
  await expecting(400, client.post('/users/reset-password/', { ...link, new_password: wrong }))
  await expecting(200, client.post('/users/login/', { email, password: reset }))
  await expecting(
    200,
    client.post('/users/me/password/', { current_password: reset, new_password: changed }),
  )
  keepCookies('after the change', client)

  const offer = await expecting(200, client.post('/users/me/totp/', { password: changed }))
  const { secret } = (await offer.json()) as { secret: string }
  note('the TOTP secret', secret)
  const totp = new TOTP({ secret: Secret.fromBase32(secret) })
  const on = await expecting(
    200,
    client.request('/users/me/totp/', {
      method: 'PUT',
      body: JSON.stringify({ code: totp.generate() }),
      headers: { 'content-type': 'application/json' },
    }),
  )
  const { recovery_codes: codes } = (await on.json()) as { recovery_codes: string[] }
  for (const [at, code] of codes.entries()) note(`recovery code ${at}`, code)
  const again = { email, password: changed, otp: codes[0] }
  await expecting(200, client.post('/users/login/', again))
  keepCookies('with a second factor', client)
  await expecting(
    200,
    client.post('/users/me/email/', { email: 'other@example.com', password: changed }),
  )
  const moved = await smtp.waitForMail('other@example.com')
  note('token of the new address', /token=([\w-]+)/.exec(moved.html || '')?.[1])

  const superuser = await signIn(url, ADMIN)
  keepCookies('of the superuser', superuser)
  const video = new FormData()
  video.set('title', 'A film')
  video.set('video_file', new Blob([Buffer.from('no film at all')]), 'a.mp4')
  await superuser.request('/admin/api/videos/', { method: 'POST', body: video })
  await expecting(
    201,
    superuser.request('/admin/api/uploads/', {
      method: 'POST',
      headers: { 'tus-resumable': '1.0.0', 'upload-length': '10' },
    }),
  )
  await superuser.get(`/media/videos/1/x?expires=9999999999&signature=${'A'.repeat(43)}`)
  await expecting(200, client.post('/users/logout/'))
  // Odd ways for a secret to come along; they are no one's, but must not be written down either.
  await client.get(`/users/confirm/?uid=1&token=${unused.token}`)
  await client.get(`/nowhere/?password=${encodeURIComponent(changed)}`)
  await client.post('/users/login/', `{"password": "${changed}"`)
  await client.post('/users/login/', { email, password: { value: changed } })
}

/** As it is, as JSON writes it, and as URLs do. */
function spellingsOf(secret: string): string[] {
  return [
    ...new Set([
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
      Buffer.from(secret).toString('hex'),
    ]),
  ]
}

async function dumpOf(dataDir: string, url: string | undefined): Promise<string> {
  const db = await openDatabase(databaseSettings(url ? { DATABASE_URL: url } : {}, dataDir))
  try {
    const dumps: string[] = []
    for (const { name } of await db.introspection.getTables()) {
      const rows = await db
        .selectFrom(name as 'users')
        .selectAll()
        .execute()
      dumps.push(`${name}\n${JSON.stringify(rows)}`)
    }
    return dumps.join('\n')
  } finally {
    await db.destroy()
  }
}

async function filesBelow(folder: string): Promise<[string, Buffer][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return await Promise.all(
    files.map(async ({ parentPath, name }): Promise<[string, Buffer]> => {
      const path = join(parentPath, name)
      return [relative(folder, path), await readFile(path)]
    }),
  )
}
