import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { run, type Finished } from './ffmpeg.ts'
import {
  confined,
  filesOf,
  findSandbox,
  memoryBound,
  startConfined,
  trySandbox,
  type Sandbox,
} from './sandbox.ts'
import { killOrphans } from './stragglers.ts'
import { gaps } from './tools.ts'

const dir = await realpath(await mkdtemp(join(tmpdir(), 'videoflix-sandbox-')))
afterAll(() => rm(dir, { recursive: true }))

const GIB = 1024 ** 3
const EVERYTHING: Sandbox = {
  bubblewrap: '/usr/bin/bwrap',
  setpriv: '/usr/bin/setpriv',
  isLimited: true,
  complaint: null,
}
const NOTHING: Sandbox = { bubblewrap: null, setpriv: null, isLimited: false, complaint: 'no' }
const START = {
  bin: '/usr/bin/ffmpeg',
  args: ['-i', 'file:/data/film'],
  cwd: '/data/work',
  reads: ['/data/film'],
  bounds: { cpuSeconds: 90.2, memoryBytes: GIB, fileBytes: 1_000_000 },
}

function visible(...paths: string[]): string[] {
  return paths.flatMap((path) => ['--ro-bind-try', path, path])
}

test('the whole command line, with all that a machine can offer', () => {
  const command = confined(EVERYTHING, START)
  const script = command[command.indexOf('-c') + 1] ?? ''
  const address = command[command.indexOf('-c') + 5]
  expect(script).toMatch(/^\{ ulimit .*; read -r go <&3 \|\| exit 125; exec 3>&- "\$@"$/)
  expect(command).toEqual([
    ...['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--no-new-privs', '--'],
    ...['/usr/bin/bwrap', '--unshare-all', '--die-with-parent', '--new-session'],
    ...['--cap-drop', 'ALL'],
    ...visible('/usr', '/bin', '/lib', '/lib32', '/lib64', '/nix/store', '/gnu/store'),
    ...visible('/etc/ld.so.cache', '/etc/alternatives'),
    ...['--dev', '/dev', '--remount-ro', '/dev', '--bind', '/data/work', '/data/work'],
    ...visible('/data/film'),
    ...['--remount-ro', '/', '--chdir', '/data/work', '--'],
    ...['/bin/sh', '-c', script, 'sh', '91', '1048576', address, '1954'],
    ...['/usr/bin/ffmpeg', '-i', 'file:/data/film'],
  ])
})

test('without a folder nothing can be written', () => {
  expect(confined(EVERYTHING, { ...START, cwd: undefined })).not.toContain('--bind')
})

test('what is missing is left out', () => {
  expect(confined({ ...EVERYTHING, bubblewrap: null }, START)).not.toContain('--unshare-all')
  expect(confined({ ...EVERYTHING, setpriv: null }, START)[0]).toBe('/usr/bin/bwrap')
  expect(confined(NOTHING, START)).toEqual(['/usr/bin/ffmpeg', '-i', 'file:/data/film'])
})

test('a program outside of the system is seen with its libraries, and no more', async () => {
  expect(filesOf('/bin/sh')).toEqual([])
  const bin = join(dir, 'ffmpeg')
  await writeFile(bin, '')
  expect(filesOf(bin)).toEqual([bin])
})

test.skipIf(process.platform !== 'linux')('memory has an end', async () => {
  const args = ['-c', 'head -c 600000000 /dev/zero | tail -n 1 | wc -c']
  const bytesHeld = async (memoryBytes: number): Promise<number> => {
    const bounds = { ...START.bounds, memoryBytes }
    const greedy = { bin: '/bin/sh', args, cwd: undefined, reads: [], bounds }
    const { child } = startConfined(await findSandbox(), greedy, { PATH: '/usr/bin:/bin' })
    const [told] = await Promise.all([text(child.stdout), once(child, 'close')])
    return Number(told)
  }
  expect(await bytesHeld(200_000_000)).toBe(0)
  expect(await bytesHeld(GIB)).toBe(600_000_000)
})

test('three quarters of a small machine’s memory are given away, of a large one 12 GiB', () => {
  expect(memoryBound(0.5 * GIB)).toBe(GIB)
  expect(memoryBound(4 * GIB)).toBe(3 * GIB)
  expect(memoryBound(256 * GIB)).toBe(12 * GIB)
})

test.skipIf(process.platform !== 'linux')('what does not work is not used, and told', async () => {
  const aTool = async (name: string, script: string): Promise<void> => {
    await writeFile(join(dir, name), `#!/bin/sh\n${script}\n`)
    await chmod(join(dir, name), 0o755)
  }
  const nowhere = await trySandbox(() => null)
  expect(nowhere).toMatchObject({ bubblewrap: null, setpriv: null, isLimited: true })
  expect(gaps(nowhere).map(({ remedy }) => remedy)).toEqual([
    'Install bubblewrap (Debian, Ubuntu: apt install bubblewrap).',
    'Install util-linux.',
  ])
  await aTool('bwrap', 'echo "bwrap: No permissions to create new namespace" >&2; exit 1')
  await aTool('setpriv', 'echo "setpriv: unrecognized option: pdeathsig" >&2; exit 1')
  const forbidden = await trySandbox((name) => join(dir, name))
  expect(forbidden).toMatchObject({
    ...{ bubblewrap: null, setpriv: null },
    complaint: 'bwrap: No permissions to create new namespace',
  })
  expect(gaps(forbidden)[0]?.what).toContain('No permissions to create new namespace')
})

test.skipIf(process.platform !== 'linux')('nothing begins before we have answered', async () => {
  const echo = { ...START, bin: '/bin/echo', args: ['begun'], cwd: undefined, reads: [] }
  const sandbox = await findSandbox()
  const output = async (hurry: (abandon: () => void) => void): Promise<string> => {
    const { child, abandon } = startConfined(sandbox, echo, {})
    hurry(abandon)
    const [told] = await Promise.all([text(child.stdout), once(child, 'close')])
    return told
  }
  expect(await output(() => undefined)).toBe('begun\n')
  expect(await output((abandon) => abandon())).toBe('')
})

test.skipIf(process.platform !== 'linux')('a parent killed at once leaves nothing', async () => {
  const nap = `61.${process.pid}`
  const script = `
    import { findSandbox, startConfined } from '${new URL('sandbox.ts', import.meta.url).href}'
    const bounds = { cpuSeconds: 9, memoryBytes: ${GIB}, fileBytes: 0 }
    const start = { bin: '/bin/sleep', args: ['${nap}'], cwd: undefined, reads: [], bounds }
    const sandbox = await findSandbox()
    startConfined(sandbox, start, {})
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(process.argv[1]))`
  for (let delayMs = 0; delayMs < 12; delayMs += 1) {
    const args = ['--input-type=module', '-e', script, String(delayMs)]
    await promisify(execFile)(process.execPath, args).catch(() => undefined)
  }
  await killOrphans()
  await expect.poll(() => commandLines()).not.toContain(nap)
})

/** Of all processes, as one text. */
async function commandLines(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''))
  return (await Promise.all(lines)).join('\n')
}

test('a machine is tried out once', async () => {
  const sandbox = await findSandbox()
  expect(await findSandbox()).toBe(sandbox)
  expect(sandbox.bubblewrap === null).toBe(sandbox.complaint !== null)
})

const { bubblewrap } = await findSandbox()
describe.skipIf(bubblewrap === null)('inside of bubblewrap', () => {
  function inside(script: string, cwd?: string): Promise<Finished> {
    const { signal } = new AbortController()
    const options = cwd === undefined ? {} : { cwd }
    return run({ bin: '/bin/sh', args: ['-c', script], signal, limitMs: 10_000, ...options })
  }

  test('only what it is to read is there, read-only', async () => {
    await writeFile(join(dir, 'film'), 'a film')
    await writeFile(join(dir, 'other'), 'another')
    const { stdout } = await run({
      bin: '/bin/sh',
      args: ['-c', `cat ${dir}/film; ls ${dir}; echo x 2>&- >> ${dir}/film`, `file:${dir}/film`],
      signal: new AbortController().signal,
      limitMs: 10_000,
    })
    expect(stdout).toBe('a filmfilm\n')
    expect(await readdir(dir)).toContain('other')
  })

  test('its own folder is all that can be written', async () => {
    const places = '/ /tmp /dev /dev/shm /usr /var/tmp /run'
    const { stdout } = await inside(
      `for place in . ${places}; do (echo > $place/x) 2>/dev/null && echo $place; done; true`,
      dir,
    )
    expect(stdout).toBe('.\n')
  })

  test('neither passwords nor other processes are in sight', async () => {
    const { stdout } = await inside('ls /etc; ls / | tr "\\n" " "; echo $$')
    expect(stdout).toMatch(/^alternatives\nld\.so\.cache\n/)
    expect(stdout).not.toMatch(/\b(proc|home|root|var|sys|work)\b/)
    expect(Number(stdout.trim().split(' ').at(-1))).toBeLessThan(10)
  })

  test('no socket leads outside', async () => {
    let connections = 0
    const server = createServer(() => (connections += 1))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const script = `require('net').connect(${port}, '127.0.0.1').on('error', (e) => console.log(e.code))`
    const { stdout } = await run({
      bin: process.execPath,
      args: ['-e', script],
      signal: new AbortController().signal,
      limitMs: 10_000,
    })
    server.close()
    expect(stdout.trim()).toBe('ECONNREFUSED')
    expect(connections).toBe(0)
  })
})
