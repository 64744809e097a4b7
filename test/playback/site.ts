import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

const SCRIPTS: Record<string, string> = {
  'hls.js': require.resolve('hls.js/dist/hls.min.js'),
  'video.js': require.resolve('video.js/dist/video.min.js'),
  'shaka-player': require.resolve('shaka-player/dist/shaka-player.compiled.js'),
  dashjs: require.resolve('dashjs'),
  'players.js': fileURLToPath(new URL('players.js', import.meta.url)),
}

const PAGE = `<!doctype html><meta charset="utf-8"><body>${Object.keys(SCRIPTS)
  .map((name) => `<script src="/${name}"></script>`)
  .join('')}`

/** A page of another origin than the server's, with other people's players on it. */
export interface PlayerSite extends AsyncDisposable {
  origin: string
}

export async function startPlayerSite(): Promise<PlayerSite> {
  const site = createServer((request, reply) => {
    const script = SCRIPTS[request.url?.slice(1) ?? '']
    if (script === undefined) reply.setHeader('content-type', 'text/html').end(PAGE)
    else createReadStream(script).pipe(reply.setHeader('content-type', 'text/javascript'))
  }).listen(0, '127.0.0.1')
  await once(site, 'listening')
  const { port } = site.address() as AddressInfo
  return {
    origin: `http://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      site.close()
      site.closeAllConnections()
      await once(site, 'close')
    },
  }
}
