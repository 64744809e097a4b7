import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/**
 * Short real films, made with ffmpeg at first use and kept in `.cache/films/` under a hash of the
 * command line that made them. `film('h264 mp4')` gives the path of one.
 */
const CACHE = fileURLToPath(new URL('../.cache/films/', import.meta.url))
const exec = promisify(execFile)

interface Recipe {
  extension: string
  /** ffmpeg's arguments before the output's name. */
  args: string[]
}

interface Wish {
  /** `WIDTHxHEIGHT`. */
  size?: string
  seconds?: number
  fps?: number | string
  /** Encoder and its options. */
  video: string
  /** Encoder and its options; null is silence. */
  audio?: string | null
  extension: string
  /** More input, placed after the two generators. */
  filter?: string
  /** Output options. */
  extra?: string
  channels?: string
}

const X264 = 'libx264 -preset ultrafast -pix_fmt yuv420p'
const AAC = 'aac -b:a 64k'

function wish(options: Wish): Recipe {
  const { size = '192x144', seconds = 2, fps = 25, video, audio = AAC, extension } = options
  const { filter, extra, channels = 'mono' } = options
  const words = (text: string | undefined): string[] => text?.split(' ') ?? []
  const voices = { mono: 'sin(880*t)/4', stereo: 'sin(880*t)/4|sin(1320*t)/4' }
  const surround = 'sin(880*t)/4|sin(990*t)/4|sin(660*t)/4|sin(110*t)/4|sin(1100*t)/4|sin(1210*t)/4'
  const expression = channels === '5.1' ? surround : voices[channels as keyof typeof voices]
  const sound = `aevalsrc=${expression}:c=${channels}:s=48000:d=${seconds}`
  return {
    extension,
    args: [
      ...['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${fps}:duration=${seconds}`],
      ...(audio === null ? [] : ['-f', 'lavfi', '-i', sound]),
      ...(filter === undefined ? [] : ['-vf', filter]),
      ...['-c:v', ...words(video)],
      ...(audio === null ? [] : ['-c:a', ...words(audio)]),
      ...words(extra),
    ],
  }
}

const H264 = { video: X264, extension: 'mp4' } as const
const HEVC = 'libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none'
const VP9 = 'libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 300k'
const HDR = 'colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc'
const HLG = 'colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc'

/** Every one of these must become a video. */
const GOOD = {
  'h264 mp4': wish(H264),
  'h264 mov': wish({ ...H264, extension: 'mov' }),
  'h264 mkv': wish({ ...H264, extension: 'mkv' }),
  'h264 avi': wish({ ...H264, extension: 'avi', audio: 'libmp3lame' }),
  'h264 ts': wish({ ...H264, extension: 'ts' }),
  'h264 flv': wish({ ...H264, extension: 'flv' }),
  'h264 3gp': wish({ ...H264, extension: '3gp' }),
  'hevc mp4': wish({ video: `${HEVC} -tag:v hvc1`, extension: 'mp4' }),
  'hevc mkv': wish({ video: HEVC, extension: 'mkv', audio: 'ac3' }),
  'vp8 webm': wish({
    video: 'libvpx -deadline realtime -cpu-used 8 -b:v 300k',
    audio: 'libvorbis',
    extension: 'webm',
  }),
  'vp9 webm': wish({ video: VP9, audio: 'libopus', extension: 'webm' }),
  'vp9 mkv': wish({ video: VP9, audio: 'flac', extension: 'mkv' }),
  'av1 mp4': wish({ video: 'libsvtav1 -preset 12', extension: 'mp4', seconds: 1 }),
  'av1 mkv': wish({
    video: 'libsvtav1 -preset 12',
    audio: 'libopus',
    extension: 'mkv',
    seconds: 1,
  }),
  'av1 webm': wish({
    video: 'libsvtav1 -preset 12',
    audio: 'libopus',
    extension: 'webm',
    seconds: 1,
  }),
  'hevc mov': wish({ video: `${HEVC} -tag:v hvc1`, extension: 'mov', audio: 'alac' }),
  'hevc ts': wish({ video: HEVC, extension: 'ts', audio: 'ac3' }),
  'mpeg4 mkv': wish({ video: 'mpeg4 -q:v 4', audio: 'libmp3lame', extension: 'mkv' }),
  'mpeg4 avi': wish({ video: 'mpeg4 -q:v 4', audio: 'libmp3lame', extension: 'avi' }),
  'mpeg4 mp4': wish({ video: 'mpeg4 -q:v 4', extension: 'mp4' }),
  'mpeg4 3gp': wish({ video: 'mpeg4 -q:v 4', extension: '3gp' }),
  'msmpeg4 avi': wish({ video: 'msmpeg4 -q:v 4', audio: 'pcm_s16le', extension: 'avi' }),
  'mpeg2 mpg': wish({ video: 'mpeg2video -q:v 4', audio: 'mp2', extension: 'mpg' }),
  'mpeg2 ts': wish({ video: 'mpeg2video -q:v 4', audio: 'mp2', extension: 'ts' }),
  'mpeg1 mpg': wish({ video: 'mpeg1video -q:v 4', audio: 'mp2', extension: 'mpg' }),
  'msmpeg4v2 avi': wish({ video: 'msmpeg4v2 -q:v 4', audio: 'adpcm_ms', extension: 'avi' }),
  'wmv1 wmv': wish({ video: 'wmv1 -q:v 4', audio: 'wmav1', extension: 'wmv' }),
  'mjpeg mov': wish({ video: 'mjpeg -q:v 4', audio: 'adpcm_ima_wav', extension: 'mov' }),
  'prores mkv': wish({ video: 'prores_ks -profile:v 0', audio: 'pcm_s24le', extension: 'mkv' }),
  'prores mov': wish({ video: 'prores_ks -profile:v 2', audio: 'pcm_s16le', extension: 'mov' }),
  'prores 4444 mov': wish({
    video: 'prores_ks -profile:v 4 -pix_fmt yuva444p10le',
    audio: 'pcm_s24le',
    extension: 'mov',
    seconds: 1,
  }),
  'dnxhr mov': wish({
    video: 'dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p',
    audio: 'alac',
    extension: 'mov',
    size: '256x144',
    seconds: 1,
  }),
  'mjpeg avi': wish({ video: 'mjpeg -q:v 4', audio: 'pcm_u8', extension: 'avi' }),
  'theora ogv': wish({ video: 'libtheora -q:v 5', audio: 'libvorbis', extension: 'ogv' }),
  'wmv2 wmv': wish({ video: 'wmv2 -q:v 4', audio: 'wmav2', extension: 'wmv' }),
  'flv1 flv': wish({
    video: 'flv -q:v 4',
    audio: 'libmp3lame -ar 44100',
    extension: 'flv',
  }),
  'h263 3gp': wish({
    video: 'h263 -q:v 4',
    audio: 'aac -b:a 32k',
    size: '176x144',
    extension: '3gp',
  }),
  silent: wish({ ...H264, audio: null }),
  'surround 5.1': wish({ ...H264, audio: 'aac -b:a 192k', channels: '5.1' }),
  'surround 5.1 ac3': wish({ ...H264, audio: 'ac3', channels: '5.1', extension: 'mkv' }),
  'sound in mp3': wish({ ...H264, audio: 'libmp3lame' }),
  'sound in opus': wish({ ...H264, audio: 'libopus' }),
  'sound in flac': wish({ ...H264, audio: 'flac -strict -2' }),
  'sound in eac3': wish({ ...H264, audio: 'eac3' }),
  'sound in dts': wish({ ...H264, audio: 'dca -strict -2', channels: '5.1', extension: 'mkv' }),
  'sound in truehd': wish({
    ...H264,
    audio: 'truehd -strict -2',
    channels: 'stereo',
    extension: 'mkv',
  }),
  'sound in float pcm': wish({ ...H264, audio: 'pcm_f32le', extension: 'mov' }),
  'sound at 8 kHz': wish({ ...H264, audio: 'aac -ar 8000' }),
  'sound at 96 kHz': wish({ ...H264, audio: 'aac -ar 96000 -b:a 192k', channels: 'stereo' }),
  'odd size': wish({
    size: '322x182',
    filter: 'crop=321:181:0:0:exact=1',
    video: 'libx264 -preset ultrafast -pix_fmt yuv444p',
    extension: 'mp4',
  }),
  'tiny odd size': wish({
    filter: 'crop=101:77:0:0:exact=1',
    video: 'libx264 -preset ultrafast -pix_fmt yuv444p',
    extension: 'mp4',
  }),
  smallest: wish({ ...H264, size: '16x16' }),
  anamorphic: wish({ ...H264, size: '360x288', filter: 'setsar=64/45' }),
  'half a second': wish({ ...H264, seconds: 0.5 }),
  'one frame': wish({ ...H264, seconds: 0.04, audio: null }),
  '10 bit': wish({ video: HEVC.replace('yuv420p', 'yuv420p10le'), extension: 'mkv' }),
  '10 bit h264': wish({ video: X264.replace('yuv420p', 'yuv420p10le'), extension: 'mp4' }),
  '10 bit vp9': wish({
    video: `${VP9} -pix_fmt yuv420p10le -profile:v 2`,
    audio: 'libopus',
    extension: 'webm',
  }),
  '4:4:4': wish({ video: X264.replace('yuv420p', 'yuv444p'), extension: 'mp4' }),
  'full range': wish({ video: X264.replace('yuv420p', 'yuvj420p'), extension: 'mp4' }),
  hdr: wish({
    video: `libx265 -preset ultrafast -pix_fmt yuv420p10le -tag:v hvc1 -x265-params log-level=none:${HDR}`,
    extension: 'mp4',
    seconds: 1,
  }),
  'hdr hlg': wish({
    video: `libx265 -preset ultrafast -pix_fmt yuv420p10le -tag:v hvc1 -x265-params log-level=none:${HLG}`,
    extension: 'mov',
    seconds: 1,
  }),
  interlaced: wish({
    video: 'mpeg2video -q:v 4 -flags +ilme+ildct',
    audio: 'mp2',
    extension: 'mpg',
    size: '352x288',
    fps: 50,
    filter: 'tinterlace=interleave_top',
  }),
  '120 fps': wish({ ...H264, fps: 120, seconds: 1 }),
  '23.976 fps': wish({ ...H264, fps: '24000/1001', seconds: 9 }),
  'long enough for keyframes': wish({ ...H264, size: '480x400', seconds: 10 }),
  /** Some seconds of work, so that its progress can be watched. */
  'slow to encode': wish({
    ...{ video: X264.replace('yuv420p', 'yuv422p'), audio: AAC, extension: 'mkv' },
    ...{ size: '1280x720', seconds: 12 },
  }),
  'keyframes every 2.4 s': wish({
    ...{ video: `${X264} -g 60`, audio: AAC, extension: 'mp4', size: '480x400', seconds: 12 },
    ...{ channels: 'stereo' },
  }),
  'keyframes far apart': wish({
    ...{ video: `${X264} -g 9999 -sc_threshold 0`, audio: AAC, extension: 'mp4', seconds: 26 },
  }),
  'long enough for chunks': wish({
    ...{ video: 'libx264 -preset veryfast -pix_fmt yuv420p', audio: AAC, extension: 'mp4' },
    ...{ size: '320x240', seconds: 27, fps: '24000/1001' },
  }),
  'long vfr': wish({
    ...{ video: 'libx264 -preset veryfast -pix_fmt yuv420p', audio: AAC, extension: 'mkv' },
    ...{ seconds: 27, filter: 'select=lt(mod(t\\,3)\\,1)+not(mod(n\\,7))', extra: '-fps_mode vfr' },
  }),
  'one picture for a long time': wish({
    ...{ ...H264, seconds: 32, filter: 'select=lt(t\\,3)+gt(t\\,27)', extra: '-fps_mode vfr' },
  }),
  vfr: wish({
    ...H264,
    filter: 'select=lt(t\\,1)+not(mod(n\\,5))',
    extra: '-fps_mode vfr',
    extension: 'mkv',
  }),
  'vfr mp4': wish({
    ...H264,
    filter: 'select=lt(t\\,1)+not(mod(n\\,5))',
    extra: '-fps_mode vfr',
  }),
  'sound outlasts picture': wish({ ...H264, filter: 'trim=duration=1' }),
  'picture outlasts sound': wish({ ...H264, extra: '-af atrim=duration=1' }),
  'starts at an hour': wish({ ...H264, extra: '-output_ts_offset 3600', extension: 'ts' }),
  'black at first': wish({ ...H264, filter: 'drawbox=t=fill:c=black:enable=lt(t\\,1.2)' }),
  'private metadata': wish({
    ...H264,
    extension: 'mov',
    extra: '-metadata title=SECRET -metadata location=+48.8577+002.295/ -metadata comment=SECRET',
  }),
} satisfies Record<string, Recipe>

export type GoodFilm = keyof typeof GOOD | keyof typeof DERIVED_GOOD

/** Made from other films, by stream copy or by cutting bytes. */
const DERIVED_GOOD = {
  /** A phone held upright: 192x144 in the file, 144x192 for the viewer. */
  portrait: async (): Promise<string> =>
    remux(await film('h264 mp4'), 'mp4', ['-metadata:s:v', 'rotate=90', '-map', '0']),
  'upside down': async (): Promise<string> =>
    remux(await film('h264 mp4'), 'mov', ['-metadata:s:v', 'rotate=180', '-map', '0']),
  /** As browsers record. */
  'webm without duration': async (): Promise<string> =>
    remux(await film('vp9 webm'), 'webm', ['-live', '1', '-f', 'webm']),
  'ts that starts in the middle': async (): Promise<string> =>
    cut(await make(wish({ ...H264, extension: 'ts', extra: '-g 10' })), 'ts', 0.35, 1),
  'with subtitles': async (): Promise<string> =>
    remux(
      await film('h264 mp4'),
      'mp4',
      ['-map', '0', '-map', '1', '-c:s', 'mov_text'],
      await lines(),
    ),
  'with styled subtitles': async (): Promise<string> =>
    remux(await film('h264 mp4'), 'mkv', ['-map', '0', '-map', '1', '-c:s', 'ass'], await lines()),
  'with two pictures and sounds': async (): Promise<string> =>
    remux(
      await film('h264 mp4'),
      'mkv',
      ['-map', '1:v', '-map', '0:v', '-map', '1:a', '-map', '0:a', '-disposition:0', '0'],
      await film('anamorphic'),
    ),
  'with png cover art': async (): Promise<string> => {
    const options = ['-map', '0', '-map', '1', '-disposition:v:1', 'attached_pic', '-c:v:1', 'png']
    return remux(await film('h264 mp4'), 'mp4', options, await badFilm('picture'))
  },
  'with cover art': async (): Promise<string> => {
    const cover = await badFilm('picture')
    const options = ['-map', '0', '-map', '1', '-disposition:v:1', 'attached_pic']
    return remux(await film('h264 mp4'), 'mp4', [...options, '-c:v:1', 'mjpeg'], cover)
  },
} satisfies Record<string, () => Promise<string>>

/** Every one of these must end with a sentence. */
const BAD = {
  empty: async (): Promise<string> => bytes('mp4', Buffer.alloc(0)),
  text: async (): Promise<string> => bytes('mp4', Buffer.from('This is not a film.\n'.repeat(100))),
  garbage: async (): Promise<string> => bytes('mp4', createHash('sha512').update('x').digest()),
  'truncated without index': async (): Promise<string> =>
    cut(await film('h264 mp4'), 'mp4', 0, 0.8),
  'truncated faststart': async (): Promise<string> =>
    cut(await remux(await film('h264 mp4'), 'mp4', ['-movflags', '+faststart']), 'mp4', 0, 0.4),
  'audio only': async (): Promise<string> => make(SOUND_ONLY),
  'audio with cover art': async (): Promise<string> => {
    const options = ['-map', '0', '-map', '1', '-c:v', 'mjpeg', '-disposition:v', 'attached_pic']
    return remux(await make(SOUND_ONLY), 'mp4', options, await badFilm('picture'))
  },
  picture: async (): Promise<string> => renamed(await make(picture('png')), 'mp4'),
  'jpeg picture': async (): Promise<string> => renamed(await make(picture('jpg')), 'mp4'),
  'gif picture': async (): Promise<string> => renamed(await make(picture('gif')), 'mp4'),
  /** Two frames, 24 hours apart, in a few KB. */
  'gap bomb': async (): Promise<string> =>
    make({
      extension: 'mkv',
      args: [
        ...['-f', 'lavfi', '-i', 'color=size=64x64:rate=1:duration=2'],
        ...['-vf', 'setpts=if(eq(N\\,0)\\,0\\,86400/TB)', '-fps_mode', 'vfr'],
        ...['-c:v', ...X264.split(' ')],
      ],
    }),
  /** The same, in a file that does not tell its duration. */
  'gap bomb without duration': async (): Promise<string> =>
    remux(await badFilm('gap bomb'), 'mkv', ['-live', '1', '-f', 'matroska']),
  'playlist named mp4': async (): Promise<string> =>
    bytes('mp4', Buffer.from('#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n')),
  /** Scripts that make ffmpeg read another file; the NUL keeps them from being plain text. */
  'concat script': async (): Promise<string> =>
    bytes(
      'mp4',
      Buffer.from(`ffconcat version 1.0\n#\0\nfile ${basename(await film('h264 mp4'))}\n`),
    ),
  'playlist of another file': async (): Promise<string> => {
    const other = basename(await film('h264 ts'))
    const lines = [
      '#EXTM3U',
      '#EXT-X-TARGETDURATION:2',
      '#\0',
      '#EXTINF:2,',
      other,
      '#EXT-X-ENDLIST',
    ]
    return bytes('mp4', Buffer.from(`${lines.join('\n')}\n`))
  },
  'raw video': async (): Promise<string> =>
    make(wish({ video: 'rawvideo -pix_fmt yuv420p', audio: null, extension: 'avi', seconds: 0.2 })),
  'unknown format': async (): Promise<string> =>
    make(wish({ video: 'libx264 -preset ultrafast', audio: null, extension: 'nut' })),
  'too small': async (): Promise<string> => make(wish({ ...H264, size: '64x8' })),
  'too flat': async (): Promise<string> => make(wish({ ...H264, size: '2000x16', seconds: 0.2 })),
  'too large': async (): Promise<string> =>
    make(
      wish({
        video: 'mjpeg -q:v 20',
        audio: null,
        size: '9000x5000',
        seconds: 0.04,
        extension: 'mov',
      }),
    ),
  /** A real film whose pictures are noise to every decoder. */
  'scrambled pictures': async (): Promise<string> =>
    scrambled(await make(wish({ ...H264, audio: null }))),
} satisfies Record<string, () => Promise<string>>

export type BadFilm = keyof typeof BAD

export const goodFilms = [...Object.keys(GOOD), ...Object.keys(DERIVED_GOOD)] as GoodFilm[]
export const badFilms = Object.keys(BAD) as BadFilm[]

/** Absolute path of a film that can be processed. */
export function film(name: GoodFilm): Promise<string> {
  return name in DERIVED_GOOD
    ? DERIVED_GOOD[name as keyof typeof DERIVED_GOOD]()
    : make(GOOD[name as keyof typeof GOOD])
}

/** Absolute path of a file that cannot. */
export function badFilm(name: BadFilm): Promise<string> {
  return BAD[name]()
}

/** Subtitles that reach far beyond the picture. */
function lines(): Promise<string> {
  return bytes('srt', Buffer.from('1\n00:00:00,100 --> 00:00:50,000\nHello\n'))
}

const SOUND_ONLY: Recipe = {
  extension: 'mp4',
  args: ['-f', 'lavfi', '-i', 'sine=440:duration=1', '-c:a', 'aac'],
}

function picture(extension: string): Recipe {
  return { extension, args: ['-f', 'lavfi', '-i', 'testsrc2=size=128x96', '-frames:v', '1'] }
}

export function remux(
  path: string,
  extension: string,
  args: string[],
  second?: string,
): Promise<string> {
  const inputs = ['-i', path, ...(second === undefined ? [] : ['-i', second])]
  return make({ extension, args: [...inputs, '-c', 'copy', ...args] })
}

export function make({ extension, args }: Recipe): Promise<string> {
  return cached(extension, args.join('\0'), async (path) => {
    await exec('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args, path])
  })
}

export function bytes(extension: string, content: Buffer): Promise<string> {
  return cached(extension, content, (path) => writeFile(path, content))
}

/** The bytes between two shares of a file. */
async function cut(path: string, extension: string, from: number, to: number): Promise<string> {
  const content = await readFile(path)
  return bytes(extension, content.subarray(content.length * from, content.length * to))
}

async function renamed(path: string, extension: string): Promise<string> {
  return bytes(extension, await readFile(path))
}

/** Overwrites the media data, leaves the index. */
async function scrambled(path: string): Promise<string> {
  const content = await readFile(path)
  const start = content.indexOf('mdat', 0, 'latin1') + 8
  const end = content.indexOf('moov', start, 'latin1') - 4
  return bytes('mp4', content.fill(0xa5, start, end))
}

const making = new Map<string, Promise<string>>()

/** Made under another name, then renamed: several test processes may want the same film. */
function cached(
  extension: string,
  key: string | Buffer,
  write: (path: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256').update(extension).update(key).digest('hex').slice(0, 20)
  const path = join(CACHE, `${hash}.${extension}`)
  const known = making.get(path)
  if (known !== undefined) return known
  const made = (async (): Promise<string> => {
    if (existsSync(path)) return path
    await mkdir(CACHE, { recursive: true })
    const unfinished = join(CACHE, `${hash}.${process.pid}.${extension}`)
    try {
      await write(unfinished)
      await rename(unfinished, path)
    } finally {
      await rm(unfinished, { force: true })
    }
    return path
  })()
  making.set(path, made)
  return made
}
