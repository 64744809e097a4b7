import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Playback, Subtitles } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytes, film, make } from '../films.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { aCopyableFilmWithSubtitles, aReadyVideo, stepsOf } from './library.ts'
import { stepTools, type StepTools } from './step-tools.ts'

const exec = promisify(execFile)

describe.each(BACKENDS)('all that is in a film, on %s', (backend) => {
  let tools: StepTools
  let app: TestApp
  let superuser: Client
  let viewer: Client
  beforeAll(async () => {
    tools = await stepTools()
    app = await startApp({ backend, env: { ...tools.env, JOB_ATTEMPTS: '1' } })
    superuser = await app.superuser()
    viewer = await app.viewer()
  })
  afterAll(async () => {
    await app.stop()
    await tools[Symbol.asyncDispose]()
  })

  const playbackOf = async (id: number): Promise<Playback> =>
    (await (await viewer.get(`/content/${id}/playback/`)).json()) as Playback
  const subtitlesOf = async (id: number): Promise<Subtitles[]> =>
    (await (await superuser.get(`/admin/api/videos/${id}/subtitles/`)).json()) as Subtitles[]
  const textOf = async (url: string): Promise<string> => {
    const reply = await fetch(url)
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-type')).toBe('text/vtt; charset=utf-8')
    return await reply.text()
  }

  test('three languages of sound, two of subtitles, and chapters', async () => {
    const { id } = await aReadyVideo(app, superuser, { path: await inManyLanguages() })
    const playback = await playbackOf(id)
    expect(playback.audio).toEqual([
      { language: 'en', label: 'English', channels: 2, is_default: true },
      { language: 'de', label: 'German', channels: 2, is_default: false },
      { language: 'en', label: 'Commentary', channels: 2, is_default: false },
    ])
    expect(playback.chapters).toEqual([
      { start_ms: 0, end_ms: 1000, title: 'The beginning' },
      { start_ms: 1000, end_ms: 2000, title: 'The end' },
    ])
    expect(
      playback.subtitles.map(({ language, label, is_forced }) => [language, label, is_forced]),
    ).toEqual([
      ['en', 'English', false],
      ['de', 'Schilder', true],
    ])
    expect(await textOf(playback.subtitles[0]?.url ?? '')).toMatch(
      /^WEBVTT\n\n00:00:00\.1\d\d --> 00:00:01\.5\d\d\nHello <i>there<\/i>\n/,
    )
    expect(await textOf(playback.subtitles[1]?.url ?? '')).toContain('Ausgang')
    expect((await subtitlesOf(id)).map((each) => each.is_embedded)).toEqual([true, true])

    const rows = await app.app.db
      .selectFrom('audio_tracks')
      .innerJoin('sources', 'sources.id', 'audio_tracks.source_id')
      .selectAll('audio_tracks')
      .where('video_id', '=', id)
      .orderBy('position')
      .execute()
    expect(rows.map(({ position, language, codec }) => [position, language, codec])).toEqual([
      [0, 'eng', 'mp4a.40.2'],
      [1, 'deu', 'mp4a.40.2'],
      [2, 'eng', 'mp4a.40.2'],
    ])
    expect(rows[0]?.object_key).toBeNull()
    for (const { object_key: key, size_bytes: size } of rows.slice(1)) {
      const path = await app.app.media.asLocalFile(key ?? '', app.settings.dataDir)
      expect((await readFile(path)).length).toBe(size)
      expect(await soundsIn(path)).toEqual([{ codec_name: 'aac', duration: expect.closeTo(2, 0) }])
    }
    // The main sound is in every rendition; a player finds the others by the master playlist.
    const master = await (await fetch(playback.hls_url)).text()
    expect(master.match(/TYPE=AUDIO/g)).toHaveLength(3)
    expect(master.match(/TYPE=SUBTITLES/g)).toHaveLength(2)
  })

  test.each([
    ['mov_text in MP4', 'with subtitles'],
    ['ASS in Matroska', 'with styled subtitles'],
  ] as const)('%s becomes WebVTT', async (_what, name) => {
    const { id } = await aReadyVideo(app, superuser, { path: await film(name) })
    const [subtitles, ...others] = (await playbackOf(id)).subtitles
    expect(others).toEqual([])
    expect(subtitles).toMatchObject({ language: null, label: 'Subtitles 1' })
    expect(await textOf(subtitles?.url ?? '')).toMatch(/^WEBVTT\n\n00:00:00\.1\d\d --> .*\nHello\n/)
  })

  test('subtitles that are broken do not spoil a film', async () => {
    const whole = await readFile(await aCopyableFilmWithSubtitles())
    const at = whole.indexOf('Hello')
    expect(at).toBeGreaterThan(0)
    whole.fill(0xff, at, at + 5)
    const { id } = await aReadyVideo(app, superuser, { path: await bytes('mp4', whole) })
    const steps = await stepsOf(superuser, id)
    expect(steps.get('subtitles')).toMatchObject({ state: 'done', error: null })
    expect(steps.get('subtitles')?.output).toMatch(/UTF-8/)
    expect(await subtitlesOf(id)).toEqual([])
  })

  test('nor does a program that crashes on them', async () => {
    await tools.crash('subtitles')
    const { id } = await aReadyVideo(app, superuser, { path: await aCopyableFilmWithSubtitles() })
    await tools.mend('subtitles')
    expect(await subtitlesOf(id)).toEqual([])
    await superuser.post(`/admin/api/videos/${id}/retry/`)
    const again = await aReadyVideo(app, superuser, { path: await aCopyableFilmWithSubtitles() })
    expect(await subtitlesOf(again.id)).toHaveLength(1)
    expect(await subtitlesOf(id)).toHaveLength(1)
  })
})

async function soundsIn(path: string): Promise<{ codec_name: string; duration: number }[]> {
  const entries = 'stream=codec_name,duration'
  const args = ['-v', 'error', '-of', 'json', '-show_entries', entries, path]
  const { stdout } = await exec('ffprobe', args)
  const { streams } = JSON.parse(stdout) as { streams: { codec_name: string; duration: string }[] }
  return streams.map((stream) => ({ ...stream, duration: Number(stream.duration) }))
}

/** English in AAC, German in AC-3 with six channels, a commentary; subtitles, the second forced; two chapters. */
async function inManyLanguages(): Promise<string> {
  const cue = (text: string): string => `1\n00:00:00,100 --> 00:00:01,500\n${text}\n`
  const english = await bytes('srt', Buffer.from(cue('Hello <i>there</i>')))
  const german = await bytes('srt', Buffer.from(cue('Ausgang')))
  const chapter = (start: number, end: number, title: string): string =>
    `[CHAPTER]\nTIMEBASE=1/1000\nSTART=${start}\nEND=${end}\ntitle=${title}\n`
  const chapters = [chapter(0, 1000, 'The beginning'), chapter(1000, 2000, 'The end')]
  const metadata = await bytes('txt', Buffer.from(`;FFMETADATA1\n${chapters.join('')}`))
  return await make({
    extension: 'mkv',
    args: [
      ...['-f', 'lavfi', '-i', 'testsrc2=size=192x144:rate=25:duration=2'],
      ...['-f', 'lavfi', '-i', 'sine=440:duration=2'],
      ...['-f', 'lavfi', '-i', 'sine=880:duration=2'],
      ...['-i', english, '-i', german, '-f', 'ffmetadata', '-i', metadata],
      ...['-map', '0', '-map', '1', '-map', '2', '-map', '1', '-map', '3', '-map', '4'],
      ...['-map_metadata', '5', '-map_chapters', '5', '-c:v', 'libx264', '-preset', 'ultrafast'],
      ...['-pix_fmt', 'yuv420p', '-c:a', 'aac', '-c:a:1', 'ac3', '-ac:a:1', '6', '-c:s', 'srt'],
      ...['-metadata:s:a:0', 'language=eng', '-metadata:s:a:1', 'language=deu'],
      ...['-metadata:s:a:2', 'language=eng', '-metadata:s:a:2', 'title=Commentary'],
      ...['-metadata:s:s:0', 'language=eng', '-metadata:s:s:1', 'language=ger'],
      ...['-metadata:s:s:1', 'title=Schilder', '-disposition:s:1', 'forced'],
    ],
  })
}
