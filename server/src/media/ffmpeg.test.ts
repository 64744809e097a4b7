import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { MediaFailure, type FailureReason } from './failure.ts'
import { run, type Finished, type Progress, type Run } from './ffmpeg.ts'
import { findSandbox } from './sandbox.ts'

const dir = await mkdtemp(join(tmpdir(), 'videoflix-run-'))
afterAll(() => rm(dir, { recursive: true }))
let scripts = 0

/** A stand-in for ffmpeg, written in shell. */
async function running(script: string, options: Partial<Run> = {}): Promise<Finished> {
  const bin = join(dir, `tool-${(scripts += 1)}`)
  await writeFile(bin, `#!/bin/sh\n${script}\n`)
  await chmod(bin, 0o755)
  const { signal } = new AbortController()
  return run({ bin, args: [], signal, limitMs: 20_000, cwd: dir, ...options })
}

async function reasonOf(finished: Promise<Finished>): Promise<FailureReason> {
  const error: unknown = await finished.catch((reason: unknown) => reason)
  if (!(error instanceof MediaFailure)) throw new Error(`not a MediaFailure: ${String(error)}`)
  return error.reason
}

/** Whether a process runs that has this among its arguments. Its number may be one of a namespace. */
async function isAlive(argument: string): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
  )
  return lines.some((line) => line.split('\0').includes(argument))
}

let naps = 0

/** Seconds that nobody else sleeps. */
function aNap(): string {
  return `60.${process.pid}${(naps += 1)}`
}

const sandbox = await findSandbox()
const BARE = { ...sandbox, bubblewrap: null }
const LAYERS = [
  ...(sandbox.bubblewrap === null ? [] : [{ layer: 'with bubblewrap', sandbox }]),
  { layer: 'without bubblewrap', sandbox: BARE },
]

test('any exit code is an answer', async () => {
  expect(await running('echo out; echo err >&2; exit 3')).toEqual({
    exitCode: 3,
    stdout: 'out\n',
    stderr: 'err\n',
  })
})

test('the child sees PATH and LANG, and no secrets', async () => {
  process.env['SECRET_KEY'] = 'hush'
  const { stdout } = await running('env')
  expect(stdout).not.toContain('hush')
  expect(stdout).toContain('LANG=C')
})

test('of a flood on stderr the end is kept', async () => {
  const { stderr } = await running('yes flood | head -c 50000000 >&2; echo the end >&2')
  expect(stderr.length).toBeLessThan(10_000)
  expect(stderr).toMatch(/the end\n$/)
})

test('a flood on stderr is ended, and the end is kept', async () => {
  expect(await reasonOf(running('yes flood >&2'))).toBe('undecodable')
})

test('reports of progress without end are ended', async () => {
  const onProgress = (): void => undefined
  expect(await reasonOf(running('yes frame=1', { onProgress }))).toBe('not_a_video')
})

test('an input without its whitelists is refused', async () => {
  const refused = running('echo never', { args: ['-i', 'file:/dev/null'] })
  await expect(refused).rejects.toThrow('an input without its whitelists: file:/dev/null')
})

test('a flood on stdout is ended', async () => {
  expect(await reasonOf(running('yes'))).toBe('not_a_video')
})

test('a full disk is told from other failures', async () => {
  const full = 'echo "av_interleaved_write_frame(): No space left on device" >&2'
  expect(await reasonOf(running(`${full}; exit 1`))).toBe('disk_full')
  expect(await reasonOf(running(`${full}; exit 0`))).toBe('disk_full')
})

test('a missing tool is told', async () => {
  const { signal } = new AbortController()
  const gone = run({ bin: join(dir, 'gone'), args: [], signal, limitMs: 1000 })
  expect(await reasonOf(gone)).toBe('tool_missing')
})

describe.each(LAYERS)('$layer', ({ sandbox }) => {
  test('a child that hangs is ended at its limit, with all of its children', async () => {
    const [nap, other] = [aNap(), aNap()]
    const script = `sleep ${nap} & echo > begun; trap "" TERM; wait; sleep ${other}`
    const hanging = running(script, { limitMs: 500, sandbox })
    expect(await reasonOf(hanging)).toBe('timed_out')
    expect((await stat(join(dir, 'begun'))).size).toBe(1)
    expect(await isAlive(nap)).toBe(false)
    expect(await isAlive(other)).toBe(false)
  })

  test.each(['', ' >/dev/null 2>&1'])(
    'children that have left its group end with it%s',
    async (redirected) => {
      const nap = aNap()
      const startedAt = performance.now()
      const script = `setsid sleep ${nap}${redirected} & sleep 0.2; echo done`
      const { stdout } = await running(script, { sandbox })
      expect(stdout).toBe('done\n')
      expect(await isAlive(nap)).toBe(false)
      expect(performance.now() - startedAt).toBeLessThan(3000)
    },
  )

  test('a file that outgrows its limit ends it', async () => {
    const script = 'exec head -c 3000000 /dev/zero > big'
    const growing = running(script, { sandbox, maxFileBytes: 1_024_000 })
    expect(await reasonOf(growing)).toBe('verification_failed')
    expect((await stat(join(dir, 'big'))).size).toBe(1_024_000)
  })

  test('without a folder it writes nothing', async () => {
    const { signal } = new AbortController()
    const args = ['-c', `echo written > ${join(dir, 'written')}`]
    await run({ bin: '/bin/sh', args, signal, limitMs: 5000, sandbox }).catch(() => undefined)
    expect(await readFile(join(dir, 'written'), 'utf8').catch(() => '')).toBe('')
  })

  test('a crash is not the file’s fault', async () => {
    expect(await reasonOf(running('kill -SEGV $$', { sandbox }))).toBe('encoder_crashed')
  })

  test('memory has an end', async () => {
    const script = 'ulimit -d; ulimit -v; ulimit -n; ulimit -c; ulimit -f; ulimit -t'
    const { stdout } = await running(script, { sandbox, maxFileBytes: 512_000, limitMs: 1000 })
    const [data, address, files, core, blocks, seconds] = stdout.trim().split('\n').map(Number)
    expect(data).toBeLessThanOrEqual(12 * 1024 ** 2)
    expect(address).toBeGreaterThan(data ?? 0)
    expect([files, core, blocks]).toEqual([256, 0, 1000])
    expect(seconds).toBeLessThan(1000)
  })
})

test('a child that reports but does not move is stalled', async () => {
  const script = 'while true; do printf "frame=7\\nprogress=continue\\n"; sleep 0.1; done'
  const onProgress = (): void => undefined
  expect(await reasonOf(running(script, { stallMs: 600, onProgress }))).toBe('stalled')
})

test('a child that moves is not', async () => {
  const script =
    'for i in 1 2 3 4 5 6 7 8; do printf "frame=$i\\nprogress=continue\\n"; sleep 0.1; done'
  const frames: number[] = []
  const onProgress = (progress: Progress): void => void frames.push(progress.frames)
  await running(script, { stallMs: 600, onProgress })
  expect(frames).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
})

test('progress is read in ffmpeg’s words, “N/A” included', async () => {
  const told: Progress[] = []
  const script =
    'printf "frame=50\\nout_time_us=2000000\\ntotal_size=1234\\nspeed=  1.5x\\nprogress=continue\\n"; printf "out_time_us=N/A\\nspeed=N/A\\nprogress=end\\n"'
  await running(script, { onProgress: (progress) => told.push(progress) })
  expect(told).toEqual([
    { frames: 50, outTimeMs: 2000, sizeBytes: 1234, speed: 1.5 },
    { frames: 0, outTimeMs: 0, sizeBytes: 0, speed: null },
  ])
})

test('an abort rejects with its reason once the child is gone', async () => {
  const controller = new AbortController()
  const reason = new Error('deleted')
  const nap = aNap()
  const aborted = running(`printf "progress=continue\\n"; exec sleep ${nap}`, {
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  })
  await expect(aborted).rejects.toBe(reason)
  expect(await isAlive(nap)).toBe(false)
})

test('nothing is started once aborted', async () => {
  const signal = AbortSignal.abort(new Error('too late'))
  await expect(running('touch started', { signal })).rejects.toThrow('too late')
  await expect(readFile(join(dir, 'started'))).rejects.toThrow('ENOENT')
})
