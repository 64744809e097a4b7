import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from './ffmpeg.ts'
import {
  AUDIO_CODECS,
  FORMATS,
  HARDENED_INPUT,
  HARDENED_PROBE,
  refuseUnhardened,
  VIDEO_CODECS,
} from './whitelist.ts'

/** Each of these reads other files or the network, or is decoded by code that few people look at. */
const DANGEROUS = [
  ...['hls', 'dash', 'concat', 'image2', 'imf', 'sdp', 'rtsp', 'lavfi', 'tty', 'xbin', 'vobsub'],
  ...['avisynth', 'vapoursynth', 'mxf', 'nut', 'rawvideo', 'svg_pipe', 'data', 'ffmetadata'],
]

function listOf(args: readonly string[], option: string): string[] {
  return args[args.indexOf(option) + 1]?.split(',') ?? []
}

async function names(option: string): Promise<string[]> {
  const { signal } = new AbortController()
  const { stdout } = await run({
    bin: 'ffmpeg',
    args: ['-v', 'quiet', option],
    signal,
    limitMs: 9000,
  })
  return stdout.split('\n').map((line) => line.trim().split(/\s+/)[1] ?? '')
}

test('nothing that reads other files may be opened', () => {
  expect(FORMATS.filter((format) => DANGEROUS.includes(format))).toEqual([])
  for (const args of [HARDENED_INPUT, HARDENED_PROBE]) {
    expect(listOf(args, '-protocol_whitelist')).toEqual(['file'])
    expect(listOf(args, '-format_whitelist')).toEqual(FORMATS)
    expect(listOf(args, '-max_pixels')).toEqual(['37748736'])
  }
})

test('this machine’s ffmpeg knows every format and can decode every codec', async () => {
  const demuxers = (await names('-demuxers')).flatMap((name) => name.split(','))
  expect(FORMATS.filter((format) => !demuxers.includes(format))).toEqual([])
  const decoders = await names('-decoders')
  const lists = listOf(HARDENED_INPUT, '-codec_whitelist')
  expect(lists.filter((name) => decoders.includes(name)).length).toBeGreaterThan(60)
})

test('of the decoders that this machine has, most may not be used', async () => {
  const lists = listOf(HARDENED_PROBE, '-codec_whitelist')
  for (const name of [
    'magicyuv',
    'xbin',
    'ansi',
    'librsvg',
    'sanm',
    'exr',
    'tiff',
    'rasc',
    'snow',
  ]) {
    expect(lists).not.toContain(name)
    expect(VIDEO_CODECS.has(name) || AUDIO_CODECS.has(name)).toBe(false)
  }
  expect((await names('-decoders')).length).toBeGreaterThan(3 * lists.length)
})

test('an input needs all of its options before it, each input its own', () => {
  const input = [...HARDENED_INPUT, '-i', 'file:a.mp4']
  const own = ['-protocol_whitelist', 'file', '-codec_whitelist', 'mjpeg', '-f', 'mjpeg']
  expect(() => refuseUnhardened(['-version'])).not.toThrow()
  expect(() => refuseUnhardened([...input, ...input, 'out.mp4'])).not.toThrow()
  expect(() => refuseUnhardened([...own, '-i', 'file:a.jpg'])).not.toThrow()
  for (const bad of [
    ['-i', 'file:a.mp4', ...HARDENED_INPUT],
    [...input, '-i', 'file:b.mp4'],
    [...HARDENED_INPUT, '-i', 'a.mp4'],
    [...HARDENED_INPUT, '-i', 'concat:a|b'],
    [...own.slice(0, 4), '-f', 'lavfi', '-i', 'file:a.jpg'],
    HARDENED_INPUT.slice(0, 6).concat('-i', 'file:a.mp4'),
    HARDENED_INPUT.slice(2).concat('-i', 'file:a.mp4'),
  ]) {
    expect(() => refuseUnhardened(bad)).toThrow('an input without its whitelists')
  }
})

test('every start of ffmpeg goes through the one that checks', async () => {
  const root = join(import.meta.dirname, '..')
  const importers = async (module: string): Promise<string[]> => {
    const names: string[] = []
    for await (const name of glob('**/*.ts', { cwd: root })) {
      const isTest = /\.(test|fixture)\.ts$/.test(name)
      const isOne = !isTest && (await readFile(join(root, name), 'utf8')).includes(module)
      if (isOne) names.push(name)
    }
    return names
  }
  expect(await importers("'node:child_process'")).toEqual(['media/sandbox.ts'])
  const users = await importers("/sandbox.ts'")
  expect(users.sort()).toEqual(['media/ffmpeg.ts', 'media/tools.ts'])
})
