import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { MediaFailure, type FailureReason } from '../../server/src/media/failure.ts'
import { mediaInfo } from '../../server/src/media/media-info.ts'
import type { StepProgress } from '../../server/src/media/media-job.ts'
import {
  transcode,
  type ProcessedMedia,
  type Transcoding,
} from '../../server/src/media/transcode.ts'
import { badFilm, badFilms, film, goodFilms, type BadFilm, type GoodFilm } from '../films.ts'

const exec = promisify(execFile)
const tools = { ffmpegBin: 'ffmpeg', ffprobeBin: 'ffprobe' }
const A_LONG_WHILE = 60_000
const root = await mkdtemp(join(tmpdir(), 'videoflix-transcode-'))
afterAll(() => rm(root, { recursive: true }))

async function processed(
  sourcePath: string,
  options: Partial<Transcoding> = {},
): Promise<ProcessedMedia> {
  const workDir = await mkdtemp(join(root, 'work-'))
  const { signal } = new AbortController()
  return transcode({ tools, sourcePath, workDir, signal, threads: 2, ...options })
}

async function aVideoFrom(name: GoodFilm): Promise<ProcessedMedia> {
  return processed(await film(name))
}

/** Every rung encoded, though it might be copied. */
async function encodedFrom(name: GoodFilm): Promise<ProcessedMedia> {
  return processed(await film(name), { options: { mayCopy: false } })
}

async function failureOf(name: BadFilm): Promise<MediaFailure> {
  const sourcePath = await badFilm(name)
  const failure = await processed(sourcePath).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(failure instanceof MediaFailure)) throw new Error(`not a MediaFailure: ${String(failure)}`)
  return failure
}

/** What ffmpeg complains about when it decodes a whole file. */
async function complaints(path: string): Promise<string> {
  const { stderr } = await exec('ffmpeg', ['-v', 'error', '-i', path, '-f', 'null', '-'])
  return stderr
}

async function ffprobe(path: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await exec('ffprobe', ['-v', 'error', ...args, '-of', 'csv=p=0', path])
  return stdout.trim().split('\n')
}

async function frameTimes(path: string, ...args: string[]): Promise<number[]> {
  const entries = ['-select_streams', 'v', ...args, '-show_entries', 'frame=pts_time']
  return (await ffprobe(path, ...entries)).map(Number.parseFloat).filter(Number.isFinite)
}

function last({ renditions }: ProcessedMedia): ProcessedMedia['renditions'][number] {
  const largest = renditions.at(-1)
  if (largest === undefined) throw new Error('no renditions')
  return largest
}

function sizes({ renditions }: ProcessedMedia): string[] {
  return renditions.map(({ rung, width, height }) => `${rung} ${width}x${height}`)
}

describe.concurrent('every ordinary film becomes renditions that decode to the end', () => {
  // It is there for its progress, and like others in all else.
  const ordinary = goodFilms.filter((name) => name !== 'slow to encode')
  test.for(ordinary)('%s', { timeout: A_LONG_WHILE }, async (name) => {
    const made = await aVideoFrom(name)
    expect(mediaInfo.parse(JSON.parse(JSON.stringify(made.info)))).toEqual(made.info)
    for (const rendition of made.renditions) {
      expect(await complaints(rendition.path)).toBe('')
      expect(rendition.videoCodec).toMatch(/^avc1\.(42|4d|64)[0-9a-f]{4}$/)
      expect(rendition.hasAudio).toBe(made.info.audio !== null)
    }
    expect(await complaints(made.posterPath)).toBe('')
    const dimensions = ['-show_entries', 'stream=width,height']
    expect(await ffprobe(made.posterPath, ...dimensions)).toEqual([
      `${made.plan.poster.width},${made.plan.poster.height}`,
    ])
  })
})

describe.concurrent('every file that is not a film is refused with its reason', () => {
  const reasons: Record<BadFilm, FailureReason[]> = {
    empty: ['empty_file'],
    text: ['not_a_video'],
    garbage: ['not_a_video'],
    'truncated without index': ['truncated'],
    'truncated faststart': ['truncated'],
    'audio only': ['no_video_stream'],
    'audio with cover art': ['no_video_stream'],
    picture: ['still_picture'],
    'jpeg picture': ['still_picture'],
    'gif picture': ['still_picture'],
    'gap bomb': ['too_long'],
    'gap bomb without duration': ['too_long'],
    'playlist named mp4': ['not_a_video'],
    'concat script': ['unsupported_format'],
    'playlist of another file': ['unsupported_format'],
    'raw video': ['unsupported_codec'],
    'unknown format': ['unsupported_format'],
    'too small': ['too_small_picture'],
    'too flat': ['too_large_picture'],
    'too large': ['too_large_picture'],
    'scrambled pictures': ['undecodable'],
  }

  test.for(badFilms)('%s', { timeout: A_LONG_WHILE }, async (name) => {
    await badFilm(name)
    const startedAt = performance.now()
    const { reason, sentence, permanent } = await failureOf(name)
    expect(reasons[name]).toContain(reason)
    expect(permanent).toBe(true)
    expect(sentence).toMatch(/^[A-Z].*\.$/)
    expect(sentence).not.toMatch(/ffmpeg|\.cache|\//)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  test('without our whitelists ffprobe would have followed the script', async () => {
    const codecs = await ffprobe(
      await badFilm('concat script'),
      '-show_entries',
      'stream=codec_name',
    )
    expect(codecs).toEqual(['h264', 'aac'])
  })

  test('a truncated film tells how much of it could be read', async () => {
    expect((await failureOf('truncated faststart')).sentence).toMatch(
      /^The file ends too early: \d\.\d s of 2\.0 s could be read\. Upload it again\.$/,
    )
  })
})

describe('what a viewer sees has the shape it was filmed in', () => {
  test('a phone held upright gives an upright film', async () => {
    const made = await aVideoFrom('portrait')
    expect(made.info.video).toMatchObject({ codedWidth: 192, displayWidth: 144 })
    expect([90, 270]).toContain(made.info.video.rotationDegrees)
    expect(sizes(made)).toEqual(['120p 120x160', '360p 144x192'])
    const sideData = ['-show_entries', 'stream_side_data=rotation']
    expect(await ffprobe(last(made).path, ...sideData)).toEqual([''])
  })

  test('wide pixels become more pixels', async () => {
    const made = await aVideoFrom('anamorphic')
    expect(sizes(made)).toEqual(['120p 214x120', '360p 512x288'])
  })

  test('odd sizes lose a line, and are not scaled up', async () => {
    expect(sizes(await aVideoFrom('odd size'))).toEqual(['120p 214x120', '360p 320x180'])
    expect(sizes(await aVideoFrom('tiny odd size'))).toEqual(['120p 100x76'])
  })
})

describe('time', () => {
  test('keyframes are at the same times in every rung, 4 s apart', async () => {
    const { renditions } = await encodedFrom('long enough for keyframes')
    expect(renditions).toHaveLength(3)
    for (const { path } of renditions) {
      expect(await frameTimes(path, '-skip_frame', 'nokey')).toEqual([0, 4, 8])
    }
  })

  test('at 23.976 fps, groups of pictures have one length', async () => {
    for (const { path } of (await encodedFrom('23.976 fps')).renditions) {
      expect(await frameTimes(path, '-skip_frame', 'nokey')).toEqual([0, 4.004, 8.008])
    }
  })

  test('a variable frame rate stays as it is', async () => {
    const source = await frameTimes(await film('vfr'))
    const made = await frameTimes(last(await encodedFrom('vfr')).path)
    expect(source.length).toBeLessThan(40)
    // The sound's first packet comes 21 ms before the first picture, which is shown from 0 on.
    expect(made).toEqual([0, ...source.slice(1).map((time) => expect.closeTo(time, 3))])
  })

  test('120 fps become 60 by leaving frames out', async () => {
    const times = await frameTimes(last(await aVideoFrom('120 fps')).path)
    expect(times).toHaveLength(60)
  })

  test('picture and sound begin at 0, wherever the source began', async () => {
    for (const name of ['starts at an hour', 'ts that starts in the middle'] as const) {
      const starts = await ffprobe(
        last(await encodedFrom(name)).path,
        ...['-show_entries', 'stream=start_time'],
      )
      expect(starts.map(Number)).toEqual([0, 0])
    }
  })

  test('sound that ends before the picture goes on in silence', async () => {
    for (const made of [aVideoFrom, encodedFrom]) {
      const { path } = last(await made('picture outlasts sound'))
      const durations = await ffprobe(path, '-show_entries', 'stream=duration')
      for (const seconds of durations.map(Number)) expect(seconds).toBeCloseTo(2, 1)
    }
  })

  test('interlace is gone', async () => {
    const made = await aVideoFrom('interlaced')
    expect(made.info.video.isInterlaced).toBe(true)
    const order = ['-select_streams', 'v', '-show_entries', 'stream=field_order']
    expect(await ffprobe(last(made).path, ...order)).toEqual(['progressive'])
  })
})

describe('what is published', () => {
  test('is BT.709 in 8 bit, whatever the source was', async () => {
    for (const name of ['hdr', '10 bit', '4:4:4', 'full range', 'h264 mkv'] as const) {
      const entries = 'stream=pix_fmt,color_range,color_space,color_transfer,color_primaries'
      const video = ['-select_streams', 'v', '-show_entries', entries]
      expect(await ffprobe(last(await encodedFrom(name)).path, ...video)).toEqual([
        'yuv420p,tv,bt709,bt709,bt709',
      ])
    }
  })

  test('has stereo sound made from 5.1', async () => {
    for (const name of ['surround 5.1', 'surround 5.1 ac3'] as const) {
      const audio = ['-select_streams', 'a', '-show_entries', 'stream=codec_name,channels']
      expect(await ffprobe(last(await aVideoFrom(name)).path, ...audio)).toEqual(['aac,2'])
    }
  })

  test('begins with its index, and says nothing about who filmed where', async () => {
    const bytes = await readFile(last(await aVideoFrom('private metadata')).path)
    expect(bytes.includes('SECRET')).toBe(false)
    expect(bytes.includes('48.8577')).toBe(false)
    expect(bytes.indexOf('moov')).toBeLessThan(bytes.indexOf('mdat'))
    expect((await readFile(await film('private metadata'))).includes('SECRET')).toBe(true)
  })

  test('has a poster that is not black', async () => {
    const { posterPath } = await aVideoFrom('black at first')
    const { stdout } = await exec(
      'ffmpeg',
      [
        '-v',
        'error',
        '-i',
        posterPath,
        '-vf',
        'scale=1:1',
        '-f',
        'rawvideo',
        '-pix_fmt',
        'gray',
        '-',
      ],
      { encoding: 'buffer' },
    )
    expect(stdout[0]).toBeGreaterThan(60)
  })
})

describe('a source that may be published as it is', () => {
  test('is copied, picture by picture, and the other rungs have its keyframes', async () => {
    const source = await film('keyframes every 2.4 s')
    const made = await processed(source)
    expect(made.plan.copied?.name).toBe('720p')
    const packets = ['-select_streams', 'v', '-show_entries', 'packet=pts_time,flags']
    expect(await ffprobe(last(made).path, ...packets)).toEqual(await ffprobe(source, ...packets))
    expect(made.renditions.map(({ rung }) => rung)).toEqual(['120p', '360p', '720p'])
    const keyframes = await frameTimes(last(made).path, '-skip_frame', 'nokey')
    for (const { path } of made.renditions) {
      const own = await frameTimes(path, '-skip_frame', 'nokey')
      expect(own).toEqual(made.plan.cuts?.map((cut) => expect.closeTo(cut, 2)))
      expect(keyframes).toEqual(expect.arrayContaining(own))
    }
  })

  test('is encoded all the same where its keyframes are too far apart', async () => {
    const made = await processed(await film('keyframes far apart'))
    expect(made.plan.copied).toBeNull()
    expect(made.renditions.map(({ rung }) => rung)).toEqual(['120p', '360p'])
  })
})

describe('a long film in chunks', () => {
  const inChunks = { mayCopy: false, chunkMinDurationMs: 10_000 }

  test('has every frame once, at the times of the single run', async () => {
    const source = await film('long enough for chunks')
    const single = await processed(source, { options: { mayCopy: false } })
    const chunked = await processed(source, { options: inChunks })
    expect(single.plan.parts).toHaveLength(1)
    expect(chunked.plan.parts.length).toBeGreaterThan(3)
    for (const [index, { path, rung }] of chunked.renditions.entries()) {
      const expected = await frameTimes(single.renditions[index]?.path ?? '')
      expect([rung, await frameTimes(path)]).toEqual([rung, expected])
      expect(await complaints(path)).toBe('')
    }
    expect(await differentKeyframes(chunked)).toHaveLength(1)
    expect(await ssim(last(chunked).path, source)).toBeGreaterThan(
      (await ssim(last(single).path, source)) - 0.001,
    )
  })

  test('whose frames come irregularly has every frame once', async () => {
    const source = await film('long vfr')
    const single = await processed(source, { options: { mayCopy: false } })
    const chunked = await processed(source, { options: inChunks })
    expect(chunked.plan.parts.length).toBeGreaterThan(3)
    expect(await frameTimes(last(chunked).path)).toEqual(await frameTimes(last(single).path))
    expect(await differentKeyframes(chunked)).toHaveLength(1)
    const dts = ['-select_streams', 'v', '-show_entries', 'packet=dts']
    const times = (await ffprobe(last(chunked).path, ...dts)).map(Number)
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b))
  })

  test('whose picture stands still for longer than a chunk is as long as before', async () => {
    const source = await film('one picture for a long time')
    const chunked = await processed(source, { options: inChunks })
    const single = await processed(source, { options: { mayCopy: false } })
    expect(await frameTimes(last(chunked).path)).toEqual(await frameTimes(last(single).path))
    expect(await differentKeyframes(chunked)).toHaveLength(1)
  })
})

/** Of all rungs, small ones from one run and large ones from chunks: one list if they are the same. */
async function differentKeyframes({ renditions }: ProcessedMedia): Promise<string[]> {
  const lists = await Promise.all(
    renditions.map(({ path }) => frameTimes(path, '-skip_frame', 'nokey')),
  )
  return [...new Set(lists.map((times) => times.join(' ')))]
}

/** Of all pictures, 0 to 1. */
async function ssim(path: string, source: string): Promise<number> {
  const args = ['-i', path, '-i', source, '-lavfi', 'ssim', '-f', 'null', '-']
  const { stderr } = await exec('ffmpeg', ['-nostats', ...args])
  return Number(/All:([\d.]+)/.exec(stderr)?.[1])
}

describe('while it works', () => {
  test('progress never falls and ends at all of it', async () => {
    const told: StepProgress[] = []
    const onProgress = (progress: StepProgress): void => void told.push(progress)
    const sourcePath = await film('long enough for keyframes')
    await processed(sourcePath, { options: { mayCopy: false }, onProgress })
    const shares = told.map(({ share }) => share)
    expect(Math.max(...shares)).toBeGreaterThan(0.5)
    expect(Math.max(...shares)).toBeLessThanOrEqual(1)
    expect(told.some(({ speed }) => speed !== null && speed > 0)).toBe(true)
  })

  test('an abort ends it with the reason that was given', async () => {
    const sourcePath = await film('long enough for keyframes')
    const controller = new AbortController()
    const cancelled = new Error('the video was deleted')
    const job = processed(sourcePath, {
      signal: controller.signal,
      onCommand: () => void setTimeout(() => controller.abort(cancelled), 100),
    })
    await expect(job).rejects.toBe(cancelled)
  })
})
