import { fileURLToPath } from 'node:url'
import { startChild, type Child } from './child.ts'
import { freePort } from './free-port.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { untilReady } from './wait.ts'

const CLI = fileURLToPath(new URL('../../server/src/main/cli.ts', import.meta.url))

export interface CliOptions {
  /** Settings, over nothing but what a program needs to run (PATH, HOME and the like). */
  env?: Record<string, string>
  args?: string[]
}

export interface ServerProcess extends AsyncDisposable, Child {
  port: number
  /** Without a slash at its end. */
  url: string
}

/** Runs one of our commands as a real process. */
export function startCli({ env = {}, args = [] }: CliOptions): Child {
  return startChild(process.execPath, [CLI, ...args], { env: { ...inherited(), ...env } })
}

/**
 * Runs `serve` as a real process and waits until it is healthy. PORT is a free one and DATA_DIR a
 * folder that goes with the server, unless they are given: to start again on the same data, give both.
 */
export async function startServer({
  env = {},
  args = [],
}: CliOptions = {}): Promise<ServerProcess> {
  const folder = env['DATA_DIR'] ? undefined : await temporaryFolder()
  const port = env['PORT'] ? Number(env['PORT']) : await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = startCli({
    args: ['serve', ...args],
    env: {
      HOST: '127.0.0.1',
      PORT: `${port}`,
      ...(folder && { DATA_DIR: folder.path }),
      ...env,
    },
  })
  const stop = async () => {
    await child.stop()
    await folder?.remove()
  }
  try {
    await untilReady(child, async () => (await fetch(`${url}/health/`)).status === 200)
  } catch (error) {
    await stop()
    throw error
  }
  return { ...child, port, url, stop, [Symbol.asyncDispose]: stop }
}

function inherited(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'FFMPEG_BIN', 'FFPROBE_BIN']
  return Object.fromEntries(names.map((name) => [name, process.env[name]]))
}
