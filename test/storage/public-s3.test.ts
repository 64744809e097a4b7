import { PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import type { AdminVideo, Playback } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { hasS3 } from '../harness/s3.ts'
import { storedKeys } from '../harness/stored.ts'
import { adminVideo, allDone, aReadyVideo } from '../videos/library.ts'

describe.skipIf(!hasS3).each(BACKENDS)('a bucket that anybody may read, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let video: AdminVideo
  beforeAll(async () => {
    const env = { AWS_S3_QUERYSTRING_AUTH: 'False' }
    app = await startApp({ backend, media: 's3', env })
    await anybodyMayRead('media/*')
    superuser = await app.superuser()
    video = await aReadyVideo(app, superuser)
  })
  afterAll(() => app.stop())

  async function anybodyMayRead(keys: string): Promise<void> {
    const Bucket = app.settings.s3?.bucket
    const Resource = `arn:aws:s3:::${Bucket}/${keys}`
    const statement = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource }
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
    await app.s3?.client.send(new PutBucketPolicyCommand({ Bucket, Policy }))
  }

  /** Plain: nothing in it could end. */
  const isPlain = (url: string): boolean => url.startsWith(app.mediaUrl) && !url.includes('?')

  async function bytesOf(url: string, headers: Record<string, string> = {}): Promise<Buffer> {
    const reply = await fetch(url, { headers })
    expect([url, reply.ok]).toEqual([url, true])
    return Buffer.from(await reply.arrayBuffer())
  }

  test('plays from plain URLs, by ranges, and browsers may keep it', async () => {
    const url = video.video_file ?? ''
    expect(isPlain(url)).toBe(true)
    const reply = await fetch(url, { headers: { range: 'bytes=4-7' } })
    expect(reply.status).toBe(206)
    expect(await reply.text()).toBe('ftyp')
    expect(reply.headers.get('content-type')).toBe('video/mp4')
    expect(reply.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect((await bytesOf(video.image_file ?? '')).readUInt16BE(0)).toBe(0xffd8)
  })

  test('gives the client the same URL again', async () => {
    app.clock.advance(24 * 3_600_000)
    const viewer = await app.viewer()
    const reply = await viewer.get(`/content/video-url/${video.id}/`)
    expect(await reply.json()).toEqual({ url: video.video_file })
    app.clock.advance(-24 * 3_600_000)
  })

  test('is what HLS and DASH lead to', async () => {
    const reply = await superuser.get(`/content/${video.id}/playback/`)
    const { hls_url, dash_url } = (await reply.json()) as Playback
    const master = (await bytesOf(hls_url)).toString()
    const [playlist = ''] = /^https?:.*m3u8.*$/m.exec(master) ?? []
    const texts = [(await bytesOf(playlist)).toString(), (await bytesOf(dash_url)).toString()]
    for (const text of texts) {
      const urls = text.match(/https?:[^"\n<]+\.mp4[^"\n<]*/g) ?? []
      expect(urls.length).toBeGreaterThan(0)
      for (const url of urls) {
        expect(isPlain(url)).toBe(true)
        expect((await bytesOf(url, { range: 'bytes=0-9' })).length).toBe(10)
      }
    }
  })

  test('keeps originals to itself', async () => {
    const [original = ''] = await storedKeys(app, 'originals')
    const statusOf = async (): Promise<number> => {
      const reply = await fetch(app.mediaUrl.replace(/media\/$/, `originals/${original}`))
      return reply.status
    }
    expect(await statusOf()).toBe(403)
    await anybodyMayRead('*')
    expect(await statusOf()).toBe(200)
    await anybodyMayRead('media/*')
  })

  test('is gone for all when the video is deleted', async () => {
    const { id } = await aReadyVideo(app, superuser)
    const { video_file: url } = await adminVideo(superuser, id)
    await bytesOf(url ?? '')
    expect((await superuser.delete(`/admin/api/videos/${id}/`)).status).toBe(204)
    await allDone(app)
    expect((await fetch(url ?? '')).status).toBeGreaterThanOrEqual(403)
    expect(await storedKeys(app, 'media', `videos/${id}/`)).toEqual([])
  })
})
