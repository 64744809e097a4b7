import type { Backend } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { startPostgres } from '../harness/postgres.ts'
import { startServer, type ServerProcess } from '../harness/process.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'

/** Server processes of their own, as they are deployed. */

export const ADMIN = { email: 'admin@example.com', password: 'correct horse battery' }

const ENOUGH = '100000/min'

/** A server that gives its links away (DEBUG, on loopback) and counts no requests. */
export const OPEN_ENV = {
  DEBUG: 'True',
  MIN_FREE_DISK_BYTES: '0',
  TRANSCODE_LOCALLY: 'False',
  LOG_LEVEL: 'info',
  RATE_LIMIT_LOGIN: ENOUGH,
  RATE_LIMIT_LOGIN_ACCOUNT: ENOUGH,
  RATE_LIMIT_REGISTER: ENOUGH,
  RATE_LIMIT_FORGOT: ENOUGH,
  RATE_LIMIT_EMAIL_EXISTS: ENOUGH,
  DJANGO_SUPERUSER_EMAIL: ADMIN.email,
  DJANGO_SUPERUSER_PASSWORD: ADMIN.password,
}

export interface TwoServers extends AsyncDisposable {
  servers: [ServerProcess, ServerProcess]
  stop(): Promise<void>
}

/** Two processes on one DATA_DIR and one database. */
export async function startTwoServers(
  backend: Backend,
  env: Record<string, string> = {},
): Promise<TwoServers> {
  const folder = await temporaryFolder()
  const postgres = backend === 'postgres' ? await startPostgres() : null
  const common = {
    ...OPEN_ENV,
    DATA_DIR: folder.path,
    ...(postgres && { DATABASE_URL: await postgres.databaseUrl() }),
    ...env,
  }
  const servers = await Promise.all([startServer({ env: common }), startServer({ env: common })])
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()))
    await postgres?.stop()
    await folder.remove()
  }
  return { servers, stop, [Symbol.asyncDispose]: stop }
}

export interface Link {
  uid: string
  token: string
}

let people = 0

/** Somebody who signed up at this server, and opened the link. */
export async function aPersonAt(
  url: string,
  { isConfirmed = true, password = 'two horses and a stapler' } = {},
): Promise<{ email: string; password: string; link: Link }> {
  const email = `somebody${(people += 1)}@example.com`
  const client = new Client(url)
  const reply = await client.post('/users/register/', {
    email,
    password,
    confirm_password: password,
  })
  if (reply.status !== 201) throw new Error(`${reply.status}: ${await reply.text()}`)
  const { debug: link } = (await reply.json()) as { debug: Link }
  if (isConfirmed) await client.get(`/users/confirm/?uid=${link.uid}&token=${link.token}`)
  return { email, password, link }
}

export async function signIn(
  url: string,
  { email, password }: { email: string; password: string },
): Promise<Client> {
  const client = new Client(url)
  const reply = await client.post('/users/login/', { email, password })
  if (reply.status !== 200) throw new Error(`${reply.status}: ${await reply.text()}`)
  return client
}

export async function aResetLinkAt(url: string, email: string): Promise<Link> {
  const reply = await new Client(url).post('/users/forgot-password/', { email })
  return ((await reply.json()) as { debug: Link }).debug
}

/** The same person with the same cookies at another server. */
export function elsewhere(client: Client, url: string): Client {
  const other = new Client(url)
  for (const [name, value] of client.cookies) other.cookies.set(name, value)
  return other
}
