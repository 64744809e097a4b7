import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './temporary-folder.ts'

const execute = promisify(execFile)

/** A certificate authority of a test's own. */
export interface Authority extends AsyncDisposable {
  /** PEM. */
  certificateFile: string
  /** Certificate and key, in PEM, of a server with these names, such as `DNS:db.test` or `IP:127.0.0.1`. */
  issue(...names: string[]): Promise<{ certificate: string; key: string }>
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc']

export async function anAuthority(): Promise<Authority> {
  const folder = await temporaryFolder()
  const file = (name: string): string => join(folder.path, name)
  const request = (...args: string[]) =>
    execute('openssl', ['req', '-x509', ...NEW_KEY, '-days', '2', ...args])
  const own = ['-keyout', file('ca.key'), '-out', file('ca.crt')]
  await request(...own, '-subj', '/CN=An authority', '-addext', 'basicConstraints=critical,CA:TRUE')
  return {
    certificateFile: file('ca.crt'),
    async issue(...names) {
      const issuer = ['-CA', file('ca.crt'), '-CAkey', file('ca.key')]
      const to = ['-keyout', file('server.key'), '-out', file('server.crt')]
      const extensions = [`subjectAltName=${names.join(',')}`, 'basicConstraints=CA:FALSE']
      await request(
        ...[...issuer, ...to, '-subj', '/CN=A server'],
        ...extensions.flatMap((extension) => ['-addext', extension]),
      )
      return {
        certificate: await readFile(file('server.crt'), 'utf8'),
        key: await readFile(file('server.key'), 'utf8'),
      }
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  }
}
