import { describe, expect, test } from 'vitest'
import { badFilm, make } from '../films.ts'
import { BACKENDS, startApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { storedKeys } from '../harness/stored.ts'
import { adminVideo, allDone, replaceSource } from '../videos/library.ts'
import { aCopyableFilm, aReadyVideo, leftOf, statusesOf, urlsOf } from './library.ts'

describe.each(BACKENDS)('with KEEP_ORIGINAL=False, on %s', (backend) => {
  test('an original goes when its video plays, which then cannot be processed again', async () => {
    await using app = await startApp({ backend, env: { KEEP_ORIGINAL: 'False' } })
    const superuser = await app.superuser()
    const originals = (): Promise<string[]> => storedKeys(app, 'originals')
    const video = await aReadyVideo(app, superuser, { path: await aCopyableFilm() })
    const { id } = video
    expect(await originals()).toEqual([])
    expect(video.source).toMatchObject({ state: 'ready', is_kept: false })
    const refused = await superuser.post(`/admin/api/videos/${id}/retry/`)
    expect(refused.status).toBe(409)
    expect(await refused.json()).toEqual({
      detail:
        'The uploaded file of this video was not kept (KEEP_ORIGINAL): upload it again to replace the video.',
    })
    expect((await adminVideo(superuser, id)).source?.state).toBe('ready')
    expect(await statusesOf(urlsOf(video))).toEqual([200, 200, 200])

    // What has failed has its original still, to be tried again.
    const { id: failed } = await replaceSource(superuser, id, await badFilm('scrambled pictures'))
    await allDone(app)
    expect((await adminVideo(superuser, failed)).source).toMatchObject({
      ...{ state: 'error', is_kept: true },
    })
    expect(await originals()).toHaveLength(1)
    expect((await superuser.post(`/admin/api/videos/${id}/retry/`)).status).toBe(200)
    await allDone(app)
    await replaceSource(superuser, id, await aCopyableFilm(4))
    await allDone(app)
    expect((await adminVideo(superuser, id)).source).toMatchObject({
      ...{ state: 'ready', is_kept: false },
    })
    expect(await originals()).toEqual([])

    expect((await superuser.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    await allDone(app)
    expect(await leftOf(app, id)).toEqual([])
  })
})

describe('LADDER', () => {
  const qualityOf = async (client: Client, id: number, quality: string): Promise<unknown> => {
    const reply = await client.get(`/content/video-url/${id}/?quality=${quality}`)
    const answer = (await reply.json()) as { url: string }
    return reply.status === 200 ? new URL(answer.url).pathname.split('/').at(-1) : answer
  }
  const NONE = { detail: 'Requested quality not available' }

  test('says which qualities there are, and clients may ask for those they know', async () => {
    await using app = await startApp({ env: { LADDER: '1080,120' } })
    const superuser = await app.superuser()
    const { id, renditions } = await aReadyVideo(app, superuser, { path: await aCopyableFilm() })
    expect(renditions.map(({ quality, height }) => [quality, height])).toEqual([
      ['120p', 120],
      ['1080p', 240],
    ])
    const asked = ['120p', '360p', '720p', '1080p', '2160p', '240p', 'best']
    expect(await Promise.all(asked.map((quality) => qualityOf(superuser, id, quality)))).toEqual([
      ...['120p.mp4', '120p.mp4', '120p.mp4', '1080p.mp4', NONE, NONE, NONE],
    ])
  })

  test('may go up to 2160p, which can be asked for where it exists', async () => {
    await using app = await startApp({ env: { LADDER: '120,1440,2160' } })
    const superuser = await app.superuser()
    const { id, renditions } = await aReadyVideo(app, superuser, { path: await aLargeFilm() })
    expect(renditions.map(({ quality, width, height }) => [quality, width, height])).toEqual([
      ['120p', 214, 120],
      ['1440p', 2560, 1440],
      ['2160p', 3840, 2160],
    ])
    const asked = ['1080p', '1440p', '2160p', '4320p']
    expect(await Promise.all(asked.map((quality) => qualityOf(superuser, id, quality)))).toEqual([
      ...['120p.mp4', '1440p.mp4', '2160p.mp4', NONE],
    ])
  })
})

function aLargeFilm(): Promise<string> {
  return make({
    extension: 'mp4',
    args: [
      ...['-f', 'lavfi', '-i', 'testsrc2=size=3840x2160:rate=5:duration=1'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'],
    ],
  })
}
