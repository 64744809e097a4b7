import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageFile } from '../../server/src/media/mp4/package-file.ts'
import type { WantedFilm } from './film.ts'

const exec = promisify(execFile)

export const SECONDS = 20
/** Worst first; 16:9. */
export const HEIGHTS = [180, 270, 360]

/** A real film in `folder`: several renditions, two languages, subtitles, small pictures for seeking. */
export async function aPackagedFilm(folder: string): Promise<WantedFilm> {
  await encode(folder)
  const { signal } = new AbortController()
  const outputOf = (name: string): string => join(folder, `${name}.mp4`)
  const packaged = []
  for (const height of HEIGHTS) {
    const { index, video } = await packageFile({
      video: [{ path: join(folder, `video-${height}.mp4`), startSeconds: 0 }],
      audioPath: join(folder, 'audio-0.mp4'),
      outputPath: outputOf(`${height}p`),
      signal,
    })
    packaged.push({ height, index, frameRate: video?.frameRate ?? '' })
  }
  const other = await packageFile({
    video: [],
    audioPath: join(folder, 'audio-1.mp4'),
    outputPath: outputOf('other'),
    signal,
  })
  return {
    durationMs: SECONDS * 1000,
    renditions: packaged.map(({ height, index, frameRate }) => ({
      quality: `${height}p`,
      width: (height * 16) / 9,
      height,
      fragments: index,
      frameRate,
      path: outputOf(`${height}p`),
    })),
    audio: [
      { language: 'eng', label: 'English' },
      { language: 'ger', label: 'Deutsch', fragments: other.index, path: outputOf('other') },
    ],
    subtitles: [
      { language: 'fre', label: 'Français', text: 'WEBVTT\n\n00:01.000 --> 00:09.000\nBonjour\n' },
    ],
    storyboard: {
      intervalMs: 2000,
      tileWidth: 80,
      tileHeight: 46,
      columns: 3,
      rows: 2,
      tiles: 10,
      paths: [join(folder, 'sheet-1.jpg'), join(folder, 'sheet-2.jpg')],
    },
  }
}

/** B-frames, closed GOPs at the same times in every rendition, sound of another length than the picture. */
async function encode(folder: string): Promise<void> {
  const make = async (input: string, ...args: string[]): Promise<void> => {
    await exec('ffmpeg', ['-v', 'error', '-nostdin', '-y', '-f', 'lavfi', '-i', input, ...args])
  }
  const x264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-pix_fmt', 'yuv420p']
  const grid = ['-force_key_frames', 'expr:gte(t,n_forced*2)', '-flags', '+cgop']
  const outputs = HEIGHTS.flatMap((height) => [
    ...['-map', '0:v', '-vf', `scale=-2:${height}`, ...x264, ...grid, '-sc_threshold', '0'],
    join(folder, `video-${height}.mp4`),
  ])
  const sheet = ['-map', '0:v', '-vf', 'fps=1/2,scale=80:46,tile=3x2', '-frames:v', '2']
  const picture = `testsrc2=size=640x360:rate=25:duration=${SECONDS}`
  await make(picture, ...outputs, ...sheet, join(folder, 'sheet-%d.jpg'))
  for (const [index, pitch] of [440, 880].entries()) {
    const sound = `sine=${pitch}:duration=${SECONDS}`
    await make(sound, '-c:a', 'aac', join(folder, `audio-${index}.mp4`))
  }
}
