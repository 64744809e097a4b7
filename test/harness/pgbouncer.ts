import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { startChild } from './child.ts'
import { freePort } from './free-port.ts'
import type { Postgres } from './postgres.ts'
import { programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { unprivilegedUser } from './unprivileged-user.ts'
import { untilReady } from './wait.ts'

export interface PgBouncer extends AsyncDisposable {
  /** The same database by way of it. */
  urlOf(direct: string): string
}

/** PgBouncer in front of a PostgreSQL: every transaction may be on another of three connections. */
export async function startPgBouncer(postgres: Postgres): Promise<PgBouncer> {
  const owner = await unprivilegedUser()
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder(owner))
  const port = await freePort()
  const file = join(folder.path, 'pgbouncer.ini')
  await writeFile(file, settingsOf(postgres, port, folder.path))
  await writeFile(join(folder.path, 'users.txt'), '"postgres" ""\n')
  if (owner) await chown(file, owner.uid, owner.gid)
  const child = startChild(programPath('pgbouncer'), [file], { owner, cwd: folder.path })
  stack.defer(() => child.stop())
  const urlOf = (direct: string): string => {
    const url = new URL(direct)
    url.port = String(port)
    return url.href
  }
  await untilReady(child, async () => {
    const client = new Client(urlOf(`postgres://postgres@127.0.0.1:${port}/postgres`))
    client.on('error', () => {})
    await client.connect()
    await client.end()
    return true
  })
  const rest = stack.move()
  return { urlOf, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

function settingsOf(postgres: Postgres, port: number, folder: string): string {
  return [
    '[databases]',
    `* = host=127.0.0.1 port=${postgres.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = trust',
    `auth_file = ${folder}/users.txt`,
    'pool_mode = transaction',
    'default_pool_size = 3',
    'ignore_startup_parameters = statement_timeout, idle_in_transaction_session_timeout',
    '',
  ].join('\n')
}
