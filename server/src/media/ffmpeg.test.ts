import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { MediaFailure, type FailureReason } from './failure.ts'
import { run, type Finished, type Progress, type Run } from './ffmpeg.ts'

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

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

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

test('a flood on stdout is ended', async () => {
  expect(await reasonOf(running('yes'))).toBe('not_a_video')
})

test('a crash is not the file’s fault', async () => {
  expect(await reasonOf(running('kill -SEGV $$'))).toBe('encoder_crashed')
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

test('a child that hangs is ended at its limit, with all of its children', async () => {
  const hanging = running('sleep 60 & echo $! > pid; trap "" TERM; wait; sleep 60', {
    limitMs: 500,
  })
  expect(await reasonOf(hanging)).toBe('timed_out')
  const pid = Number(await readFile(join(dir, 'pid'), 'utf8'))
  expect(pid).toBeGreaterThan(1)
  await expect.poll(() => isAlive(pid)).toBe(false)
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
  const aborted = running('echo $$ > own; printf "progress=continue\\n"; exec sleep 60', {
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  })
  await expect(aborted).rejects.toBe(reason)
  expect(isAlive(Number(await readFile(join(dir, 'own'), 'utf8')))).toBe(false)
})

test('nothing is started once aborted', async () => {
  const signal = AbortSignal.abort(new Error('too late'))
  await expect(running('touch started', { signal })).rejects.toThrow('too late')
  await expect(readFile(join(dir, 'started'))).rejects.toThrow('ENOENT')
})
