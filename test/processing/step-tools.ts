import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from '../../server/src/media/sandbox.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'

/** What a command line of ours belongs to. `chunk` is an encode that begins in the middle of the film. */
export type Stage = 'probe' | 'copy' | 'encode' | 'chunk' | 'subtitles' | 'package'

/** The real ffmpeg and ffprobe, which wait or crash where a test says. */
export interface StepTools extends AsyncDisposable {
  /** Settings that name them. */
  env: { FFMPEG_BIN: string; FFPROBE_BIN: string }
  /** What begins from now on waits. */
  hold(...stages: Stage[]): Promise<void>
  /** What waits goes on; to fail, if it is to. */
  letGo(...stages: Stage[]): Promise<void>
  /** What begins, or goes on, from now on crashes. */
  crash(...stages: Stage[]): Promise<void>
  mend(...stages: Stage[]): Promise<void>
}

// The sandbox shows the folder `bin` that a program is in, so what is written beside it is seen inside.
const SCRIPT = `#!/bin/sh
here=\${0%/*}
case "$*" in
  *"-c:s webvtt"*) stage=subtitles ;;
  *"-c:v copy"*) stage=copy ;;
  *"-ss "*-filter_complex*) stage=chunk ;;
  *-filter_complex*libx264*|*-filter_complex*storyboard*) stage=encode ;;
  *[0-9]p.mp4*) stage=package ;;
  *-show_entries*file:/*) stage=probe ;;
  *) stage=other ;;
esac
while [ -e "$here/hold-$stage" ]; do sleep 0.02; done
[ -e "$here/crash-$stage" ] && kill -SEGV $$
exec "$REAL" "$@"
`

export async function stepTools(): Promise<StepTools> {
  const folder = await temporaryFolder()
  const bin = join(folder.path, 'bin')
  await mkdir(bin)
  for (const name of ['ffmpeg', 'ffprobe']) {
    const path = join(bin, name)
    await writeFile(path, SCRIPT.replace('$REAL', findProgram(name) ?? name))
    await chmod(path, 0o755)
  }
  const write = async (what: string, stages: Stage[]): Promise<void> => {
    for (const stage of stages) await writeFile(join(bin, `${what}-${stage}`), '')
  }
  const remove = async (what: string, stages: Stage[]): Promise<void> => {
    for (const stage of stages) await rm(join(bin, `${what}-${stage}`), { force: true })
  }
  return {
    env: { FFMPEG_BIN: join(bin, 'ffmpeg'), FFPROBE_BIN: join(bin, 'ffprobe') },
    hold: (...stages) => write('hold', stages),
    letGo: (...stages) => remove('hold', stages),
    crash: (...stages) => write('crash', stages),
    mend: (...stages) => remove('crash', stages),
    [Symbol.asyncDispose]: () => folder.remove(),
  }
}
