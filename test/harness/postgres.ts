import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { startChild } from './child.ts'
import { freePort } from './free-port.ts'
import { programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { unprivilegedUser } from './unprivileged-user.ts'
import { untilReady } from './wait.ts'

const execute = promisify(execFile)

export interface Postgres extends AsyncDisposable {
  port: number
  /** Makes a fresh, empty database and gives its URL. */
  databaseUrl(): Promise<string>
  stop(): Promise<void>
}

/** Starts a private PostgreSQL server. It forgets what it was told when the machine crashes: no fsync. */
export async function startPostgres(): Promise<Postgres> {
  const postgres = programPath('postgres')
  const owner = await unprivilegedUser()
  const folder = await temporaryFolder(owner)
  const data = join(folder.path, 'data')
  await execute(
    join(dirname(postgres), 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...owner, cwd: folder.path },
  )
  const port = await freePort()
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: folder.path,
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: 200,
    shared_buffers: '32MB',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  // SIGQUIT is PostgreSQL's immediate shutdown: nothing of it is to be kept.
  const server = startChild(postgres, ['-D', data, ...options], {
    cwd: folder.path,
    owner,
    stopSignal: 'SIGQUIT',
  })
  const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`
  const query = (sql: string) => queryOnce(urlOf('postgres'), sql)
  const stop = async () => {
    await server.stop()
    await folder.remove()
  }
  try {
    await untilReady(server, () => query('select 1').then(() => true))
  } catch (error) {
    await stop()
    throw error
  }

  let databases = 0
  return {
    port,
    async databaseUrl() {
      const name = `test_${++databases}`
      await query(`create database ${name}`)
      return urlOf(name)
    },
    stop,
    [Symbol.asyncDispose]: stop,
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
