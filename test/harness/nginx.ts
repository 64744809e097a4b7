import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startChild, type Child } from './child.ts'
import { freePort } from './free-port.ts'
import { programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { untilReady } from './wait.ts'

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy', 'nginx')

export interface Nginx extends AsyncDisposable {
  origin: string
  child: Child
}

/**
 * A private nginx with the configuration that we hand out. Changed is what an operator changes: the servers, the port,
 * the folder of media, and where the other file lies.
 */
export async function startNginx(options: {
  /** `127.0.0.1:8000` */
  servers: string[]
  mediaRoot: string
  port?: number
}): Promise<Nginx> {
  const { servers, mediaRoot, port = await freePort() } = options
  const folder = await temporaryFolder()
  await chmod(folder.path, 0o755)
  await mkdir(join(folder.path, 'temp'))
  const site = (await readFile(join(DEPLOY, 'videoflix.conf'), 'utf8'))
    .replace(/ {4}server 127.0.0.1:8000(.*)\n/, (_line, rest: string) =>
      servers.map((server) => `    server ${server}${rest}\n`).join(''),
    )
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('    listen [::]:80;\n', '')
    .replace('server_name videoflix.example.com', 'server_name 127.0.0.1')
    .replaceAll('/etc/nginx/videoflix/proxy.conf', join(DEPLOY, 'proxy.conf'))
    .replace('/var/lib/videoflix/media/', `${mediaRoot}/`)
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder.path}/temp/${name};`)
    .join('\n')
  const file = join(folder.path, 'nginx.conf')
  await writeFile(
    file,
    `daemon off; worker_processes 1; pid ${folder.path}/pid; error_log stderr warn;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 256; }
http { access_log off; ${paths}
${site}
}`,
  )
  const child = startChild(programPath('nginx'), ['-c', file, '-p', folder.path, '-e', 'stderr'], {
    stopSignal: 'SIGQUIT',
  })
  const origin = `http://127.0.0.1:${port}`
  await untilReady(child, async () => (await fetch(`${origin}/healthz`)).ok)
  return {
    origin,
    child,
    async [Symbol.asyncDispose]() {
      await child.stop()
      await folder.remove()
    },
  }
}
