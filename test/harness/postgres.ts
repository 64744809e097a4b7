import { execFile } from 'node:child_process'
import { chown, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { startChild, type Child } from './child.ts'
import { freePort } from './free-port.ts'
import { guardAgainstLeaving } from './guard.ts'
import { programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { unprivilegedUser } from './unprivileged-user.ts'
import { until, untilReady } from './wait.ts'

const execute = promisify(execFile)

export interface Postgres extends AsyncDisposable {
  port: number
  /** Where its unix socket is. */
  socketFolder: string
  /** Makes a fresh, empty database and gives its URL. */
  databaseUrl(): Promise<string>
  /** Ends every process of it at once, as `kill -9` does; resolves when none is left. What was committed is kept. */
  kill(): Promise<void>
  /** Starts it again after `kill`, at the same port and with the same data; resolves when it answers. */
  comeBack(): Promise<void>
  /** Stops every process of it where it is (SIGSTOP): connections stay open, and nothing answers. */
  freeze(): Promise<void>
  thaw(): void
  stop(): Promise<void>
}

export interface PostgresOptions {
  /** Of connections; some of them are kept for superusers, as we are one. Default 200. */
  maxConnections?: number
  /** Asked of everybody. Without it nobody needs one. */
  password?: string
  /** PEM. Without them it speaks no TLS. */
  tls?: { certificate: string; key: string }
  /** As it comes: what was committed is on the disk, and it has 128 MB of memory. For measurements. */
  isUsual?: boolean
}

/** Starts a private PostgreSQL server. It forgets what it was told when the machine crashes: no fsync. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const owner = await unprivilegedUser()
  const folder = await temporaryFolder(owner)
  const data = join(folder.path, 'data')
  await initialise(folder.path, options, owner)
  const port = await freePort()
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: folder.path,
    max_connections: options.maxConnections ?? 200,
    ...(!options.isUsual && { fsync: 'off', full_page_writes: 'off', shared_buffers: '32MB' }),
    ...(options.tls && { ssl: 'on', ssl_cert_file: 'tls.crt', ssl_key_file: 'tls.key' }),
  }
  const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  // SIGQUIT is PostgreSQL's immediate shutdown: nothing of it is to be kept.
  const start = (): Child =>
    startChild(programPath('postgres'), ['-D', data, ...given], {
      cwd: folder.path,
      owner,
      stopSignal: 'SIGQUIT',
    })
  const login = `postgres${options.password === undefined ? '' : `:${encodeURIComponent(options.password)}`}`
  const urlOf = (database: string) => `postgres://${login}@127.0.0.1:${port}/${database}`
  const query = (sql: string) => queryOnce(urlOf('postgres'), sql)
  const untilThere = () => untilReady(server, () => query('select 1').then(() => true))

  let server = start()
  let frozen: Frozen = { pids: [], forget() {} }
  const thaw = (): void => {
    for (const pid of frozen.pids) signal(pid, 'SIGCONT')
    frozen.forget()
    frozen = { pids: [], forget() {} }
  }
  const stop = async () => {
    thaw()
    await server.stop()
    await folder.remove()
  }
  try {
    await untilThere()
  } catch (error) {
    await stop()
    throw error
  }

  let databases = 0
  return {
    port,
    socketFolder: folder.path,
    async databaseUrl() {
      const name = `test_${++databases}`
      await query(`create database ${name}`)
      return urlOf(name)
    },
    async kill() {
      const pids = await processesOf(server.pid)
      for (const pid of pids) signal(pid, 'SIGKILL')
      await server.exited
      await until(() => pids.every((pid) => !signal(pid, 0)))
    },
    async comeBack() {
      server = start()
      await untilThere()
    },
    async freeze() {
      frozen = await freezeAll(server.pid)
    },
    thaw,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function initialise(
  folder: string,
  { password, tls }: PostgresOptions,
  owner: { uid: number; gid: number } | undefined,
): Promise<void> {
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, text, { mode: 0o600 })
    if (owner) await chown(path, owner.uid, owner.gid)
    return path
  }
  const login =
    password === undefined
      ? ['-A', 'trust']
      : ['-A', 'scram-sha-256', '--pwfile', await write('password', password)]
  const initdb = join(dirname(programPath('postgres')), 'initdb')
  const data = join(folder, 'data')
  const what = ['-D', data, '-U', 'postgres', ...login, '-E', 'UTF8', '--locale=C', '--no-sync']
  await execute(initdb, what, { ...owner, cwd: folder })
  if (tls) {
    await write('data/tls.crt', tls.certificate)
    await write('data/tls.key', tls.key)
  }
}

interface Frozen {
  pids: number[]
  forget(): void
}

/** The first one alone makes others: once it is stopped there are no more of them. */
async function freezeAll(postmaster: number): Promise<Frozen> {
  signal(postmaster, 'SIGSTOP')
  const pids = await processesOf(postmaster)
  for (const pid of pids) signal(pid, 'SIGSTOP')
  // They do not see their server end, so somebody else has to end them.
  const guards = pids.map((pid) => guardAgainstLeaving({ kind: 'process', pid, signal: 'SIGKILL' }))
  return { pids, forget: () => guards.forEach((forget) => forget()) }
}

/** PostgreSQL's processes each have a group of their own. */
async function processesOf(postmaster: number): Promise<number[]> {
  const { stdout } = await execute('ps', ['-A', '-o', 'pid=,ppid='])
  const all = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  return [
    postmaster,
    ...all.flatMap(([pid, parent]) => (pid !== undefined && parent === postmaster ? [pid] : [])),
  ]
}

function signal(pid: number, which: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, which)
  } catch {
    return false
  }
}

async function queryOnce(url: string, sql: string) {
  const client = new Client(url)
  // A connection that breaks between two queries is the next query's failure.
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
