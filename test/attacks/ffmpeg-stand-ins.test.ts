import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findProgram } from '../../server/src/media/sandbox.ts'
import { BACKENDS, startApp, type Backend, type TestApp } from '../harness/app.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import { adminVideo, allDone, aReadyVideo, filesIn, upload } from '../videos/library.ts'
import { childrenOf } from './children.ts'

const REAL = { ffmpeg: findProgram('ffmpeg'), ffprobe: findProgram('ffprobe') }
const SOON_MS = 1500
const AMPLE_MS = 60_000
const LATER_MS = 120_000

/** Every output of an ffmpeg command line of ours is a bare file name: it begins with no dash. */
const FOR_EACH_OUTPUT =
  'for output; do case "$output" in *.mp4|*.m4a|*.m4s|*.mjpeg) eval "$MAKE";; *%0*.jpg) output=poster-01.jpg; eval "$MAKE";; esac; done'

const SCRIPTS = {
  hangs: ['timed_out', 'sleep 600'],
  'hangs and hears no signal': ['timed_out', 'trap "" TERM INT HUP; sleep 600 & wait; sleep 600'],
  'reports for ever that it has got nowhere': [
    'timed_out',
    'while :; do printf "frame=0\\nprogress=continue\\n"; sleep 0.1; done',
  ],
  crashes: ['encoder_crashed', 'kill -SEGV $$'],
  aborts: ['encoder_crashed', 'kill -ABRT $$'],
  'is killed': ['encoder_crashed', 'kill -KILL $$'],
  'leaves children behind': ['undecodable', 'setsid sleep 600 & sleep 600 & exit 1'],
  'leaves children that hold its pipes, and hangs': [
    'timed_out',
    '(trap "" TERM; setsid sleep 600) & sleep 600',
  ],
  multiplies: [
    'undecodable',
    'for i in 1 2 3 4 5 6 7 8; do setsid sh -c "sleep 600 & sleep 600" & done; exit 1',
  ],
  'prints what is no text': ['undecodable', String.raw`printf '\000a\377\355\240\200' >&2; exit 1`],
  'floods stderr': ['undecodable', 'yes complaint >&2'],
  'floods stdout': ['not_a_video', 'yes frame=1'],
  'ends well without any output': ['undecodable', 'exit 0'],
  'ends well with rubbish': ['undecodable', `MAKE='echo rubbish > "$output"'; ${FOR_EACH_OUTPUT}`],
  'ends well with empty files': ['undecodable', `MAKE=': > "$output"'; ${FOR_EACH_OUTPUT}`],
  'tells that the disk is full': ['disk_full', 'echo "No space left on device" >&2; exit 0'],
  'tells that memory ran out': ['out_of_memory', 'echo "Cannot allocate memory" >&2; exit 1'],
  'lacks what is asked of it': ['tool_missing', 'echo "Unknown encoder libx264" >&2; exit 1'],
  'cannot be executed': ['tool_missing', null],
} satisfies Record<string, [code: string, script: string | null]>

const PROBE_SCRIPTS = {
  hangs: ['timed_out', 'sleep 600'],
  crashes: ['encoder_crashed', 'kill -SEGV $$'],
  'says nothing': ['not_a_video', 'exit 0'],
  'says rubbish': ['not_a_video', 'echo "{ streams: maybe"'],
  'talks without end': ['not_a_video', 'yes "{"'],
  'describes something else': ['not_a_video', 'echo "[1, 2, 3]"'],
  'describes a film of no size': [
    'undecodable',
    `echo '{"format":{"format_name":"mov"},"streams":[{"index":0,"codec_type":"video","codec_name":"h264"}]}'`,
  ],
} satisfies Record<string, [code: string, script: string]>

/** What it says and how it ends is kept in the database; all else has nothing to do with that. */
const ABOUT_DATABASE = ['prints what is no text', 'floods stderr', 'talks without end']

function scriptsOn<T>(backend: Backend, scripts: Record<string, T>): [string, T][] {
  const all = Object.entries(scripts)
  return backend === 'sqlite' ? all : all.filter(([name]) => ABOUT_DATABASE.includes(name))
}

describe.each(BACKENDS)('on %s, a media tool that misbehaves is one failed task', (backend) => {
  let folder: TemporaryFolder
  let app: TestApp
  beforeAll(async () => {
    folder = await temporaryFolder()
    app = await startApp({
      backend,
      env: {
        JOB_ATTEMPTS: '1',
        JOB_SWEEP_INTERVAL: '1',
        FFMPEG_BIN: join(folder.path, 'ffmpeg'),
        FFPROBE_BIN: join(folder.path, 'ffprobe'),
      },
    })
  })
  afterAll(async () => {
    await app.stop()
    await folder.remove()
  })

  async function install(name: 'ffmpeg' | 'ffprobe', script: string | null): Promise<void> {
    const bin = join(folder.path, name)
    await writeFile(bin, `#!/bin/sh\n${script ?? ''}\n`)
    await chmod(bin, script === null ? 0o644 : 0o755)
  }

  /** What fails for want of room is tried again later, whatever JOB_ATTEMPTS is. */
  async function outcome(): Promise<AdminVideo> {
    const { id } = await upload(await app.superuser())
    for (let attempt = 1; ; attempt += 1) {
      await allDone(app)
      const video = await adminVideo(await app.superuser(), id)
      if (video.processing_state !== 'processing' || attempt === 5) return video
      app.clock.advance(LATER_MS)
    }
  }

  /** Of a film's failure. A hanging tool is given less time than a film needs on a busy machine. */
  async function codeOfFailure(limitMs: number): Promise<string | undefined> {
    app.settings.tasks.timeoutMs = limitMs
    const startedAt = performance.now()
    const { processing_state, source } = await outcome()
    expect(performance.now() - startedAt).toBeLessThan(20_000)
    expect(processing_state).toBe('error')
    expect(source?.error?.message).toMatch(/^[A-Z].*\.$/)
    expect(source?.error?.message).not.toMatch(/\/|0x/)
    await expectNothingLeft()
    return source?.error?.code
  }

  async function installReal(): Promise<void> {
    await install('ffmpeg', `exec ${REAL.ffmpeg} "$@"`)
    await install('ffprobe', `exec ${REAL.ffprobe} "$@"`)
  }

  async function expectNothingLeft(): Promise<void> {
    const left = await childrenOf(process.pid)
    expect(left.filter(({ name }) => /^(sh|sleep|yes|ff|bwrap|setsid)/.test(name))).toEqual([])
    expect(await filesIn(app.settings.tasks.workDir)).toEqual([])
  }

  test.for(scriptsOn(backend, SCRIPTS))('ffmpeg %s', async ([, [code, script]]) => {
    await installReal()
    await install('ffmpeg', script)
    expect(await codeOfFailure(code === 'timed_out' ? SOON_MS : AMPLE_MS)).toBe(code)
  })

  test.for(scriptsOn(backend, PROBE_SCRIPTS))('ffprobe %s', async ([, [code, script]]) => {
    await installReal()
    await install('ffprobe', script)
    expect(await codeOfFailure(code === 'timed_out' ? SOON_MS : AMPLE_MS)).toBe(code)
  })

  test.runIf(backend === 'sqlite')(
    'a valid film that is not the one asked for is not published',
    async () => {
      await installReal()
      const other = `-v error -y -f lavfi -i testsrc2=size=64x48:rate=25:duration=0.48`
      const make = `${REAL.ffmpeg} ${other} "$output"`
      const isOurEncode = 'case "$*" in *libx264*) ;; *) exec ' + REAL.ffmpeg + ' "$@";; esac'
      await install('ffmpeg', `${isOurEncode}\nMAKE='${make}'; ${FOR_EACH_OUTPUT}; exit 0`)
      expect(await codeOfFailure(AMPLE_MS)).toBe('verification_failed')
    },
  )

  test.runIf(backend === 'sqlite')('the worker goes on', async () => {
    app.settings.tasks.timeoutMs = AMPLE_MS
    await installReal()
    const { processing_state } = await aReadyVideo(app, await app.superuser())
    expect(processing_state).toBe('ready')
  })
})
