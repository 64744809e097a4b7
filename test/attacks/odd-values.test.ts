import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { aTitle, upload } from '../videos/library.ts'

/** PostgreSQL takes no NUL in text, no half of a pair in JSON, and no number beyond its type; SQLite takes them all. */
describe.each(BACKENDS)('values that one database refuses, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let videoPath: string
  let userPath: string
  beforeAll(async () => {
    app = await startApp({ backend })
    await app.worker.drain()
    superuser = await app.superuser()
    videoPath = `/admin/api/videos/${(await upload(superuser, { bad: 'text' })).id}/`
    await app.viewer('somebody@example.com')
    const found = await superuser.get('/admin/api/users/?search=somebody')
    const { results } = (await found.json()) as { results: { id: number }[] }
    userPath = `/admin/api/users/${results[0]?.id}/`
  })
  afterAll(() => app.stop())

  const get = (path: string): Promise<Response> => superuser.get(path)
  const beginUpload = (metadata: Record<string, string>): Promise<Response> => {
    const pairs = Object.entries(metadata).map(
      ([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`,
    )
    const headers = {
      'tus-resumable': '1.0.0',
      'upload-length': '5',
      'upload-metadata': pairs.join(','),
    }
    return superuser.request('/admin/api/uploads/', { method: 'POST', headers })
  }
  const sendForm = (path: string, file: string, fields: Record<string, string>) => {
    const body = new FormData()
    for (const [name, value] of Object.entries(fields)) body.append(name, value)
    body.append(file, new Blob(['00:01 --> 00:02\nHallo']), 'a.srt')
    return superuser.request(path, { method: 'POST', body })
  }
  const asForm = (fields: Record<string, string>) =>
    sendForm('/admin/api/videos/', 'video_file', fields)
  const asSubtitles = (fields: Record<string, string>) =>
    sendForm(`${videoPath}subtitles/`, 'file', { language: 'en', ...fields })

  const TEXTS: [string, (text: string) => Promise<Response>][] = [
    ['the title of a video', (title) => superuser.patch(videoPath, { title })],
    ['its description', (description) => superuser.patch(videoPath, { description })],
    ['its category', (category) => superuser.patch(videoPath, { category })],
    ['the phone of a user', (phone) => superuser.patch(userPath, { phone })],
    ['the address of a new user', (address) => signUp({ address })],
    ['the password of a new user', (password) => signUp({ password, confirm_password: password })],
    ['the email address of a new user', (text) => signUp({ email: `${text}@example.com` })],
    ['a one-time code', (otp) => signIn({ otp })],
    ['a password', (password) => signIn({ password })],
    [
      'the name of a link',
      (token) => app.client().post('/users/reset-password/', { uid: 'MQ', token }),
    ],
  ]
  const signUp = (more: Record<string, string>): Promise<Response> => {
    const password = 'two horses and a stapler'
    const person = { email: 'new@example.com', password, confirm_password: password }
    return app.client().post('/users/register/', { ...person, ...more })
  }
  const signIn = (more: Record<string, string>): Promise<Response> =>
    app.client().post('/users/login/', { email: 'somebody@example.com', password: 'x', ...more })

  describe.each([
    ['a NUL', 'a\0b'],
    ['half of a pair', 'a\ud800b'],
    ['the other half', '\udc00'],
  ])('%s', (_what, text) => {
    test.each(TEXTS)('in %s is refused', async (_where, send) => {
      expect((await send(text)).status).toBe(400)
    })
  })

  // UTF-8, as forms and URLs have it, has no halves of pairs.
  test.each<[string, (text: string) => Promise<Response>]>([
    ['the title of a form', (title) => asForm({ title })],
    ['the description of a form', (description) => asForm({ title: aTitle(), description })],
    ['the label of subtitles', (label) => asSubtitles({ label })],
    ['the title of a resumable upload', (title) => beginUpload({ title })],
    ['its file name', (filename) => beginUpload({ title: aTitle(), filename })],
    ['what nobody asks about it', (x) => beginUpload({ title: aTitle(), x })],
    ['a search for videos', (text) => get(`/content/?search=${encodeURIComponent(text)}`)],
    ['a search for users', (text) => get(`/admin/api/users/?search=${encodeURIComponent(text)}`)],
  ])('a NUL in %s is refused, and the same text without it is not', async (_where, send) => {
    const text = aTitle()
    const statuses = [(await send(text)).status, (await send(`${text}\0`)).status]
    expect([Math.floor(statuses[0]! / 100), statuses[1]]).toEqual([2, 400])
  })

  test.each([
    '9007199254740993',
    '2147483648',
    '9223372036854775808',
    '99999999999999999999',
    '-1',
    '1e400',
    'NaN',
    'a%00b',
    '%ed%a0%80',
  ])('%s is the number of nothing', async (number) => {
    const paths = [
      ...[`/content/${number}/`, `/content/video-url/${number}/?quality=${number}`],
      ...[`/content/${number}/playback/`, `/content/${number}/master.m3u8`],
      ...[`/content/1/${number}/720p.m3u8`, `/content/1/1/subtitles-${number}.m3u8`],
      ...[`/admin/api/videos/${number}/`, `/admin/api/videos/${number}/subtitles/`],
      ...[`/admin/api/users/${number}/`, `/admin/api/webhooks/deliveries/${number}/`],
      ...[`/admin/api/direct-uploads/${number}/`, `/media/videos/${number}/1-1-1/720p.mp4`],
      `/admin/queues/api/queues/quick/${number}`,
    ]
    for (const path of paths) {
      const { status } = await get(path)
      expect([path, [400, 403, 404].includes(status)]).toEqual([path, true])
    }
    const favorite = await superuser.post('/content/add-favorite/', { video_id: number })
    expect([400, 404]).toContain(favorite.status)
  })

  test.each([
    ...['since=0000-01-01T00:00:00Z', 'until=9999-12-31T23:59:59-23:59', 'user=999999999999999'],
    ...['page=1000000&page_size=100', 'user=9223372036854775808', 'event=a%00b', 'page=1e9'],
  ])('the audit log is asked for %s', async (query) => {
    expect((await get(`/admin/api/audit/?${query}`)).status).toBeLessThan(500)
  })

  test.each(['1', '0', '-5', '9007199254740993', '99999999999999999999', '1e300', 'NaN'])(
    'the board of tasks is asked for page %s',
    async (page) => {
      const query = `activeQueue=quick&status=failed&jobsPerPage=10&page=${page}`
      expect((await get(`/admin/queues/api/queues?${query}`)).status).toBeLessThan(500)
    },
  )

  test('none of it was an internal error', () => {
    expect(app.logs.filter(({ msg }) => msg === 'internal error')).toEqual([])
  })
})
