import { request as httpRequest } from 'node:http'
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { badFilm, film } from '../films.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import {
  aForm,
  adminVideo,
  aTitle,
  filesIn,
  postForm,
  replaceSource,
  SHORT,
  traces,
  until,
  upload,
} from '../videos/library.ts'

const MAX_BYTES = 1_000_000

describe.each(BACKENDS)('films uploaded as a form, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  beforeAll(async () => {
    app = await startApp({ backend, env: { MAX_UPLOAD_BYTES: String(MAX_BYTES) } })
    superuser = await app.superuser()
    // Processing is another journey.
    await app.worker.drain()
  })
  afterAll(() => app.stop())

  test('a form makes a video', async () => {
    const path = await film(SHORT)
    const title = aTitle()
    const fields = { title, description: 'Half a second of it', category: 'Comedy' }
    const reply = await postForm(superuser, await aForm(fields, path, 'holiday.mp4'))
    const video = (await reply.json()) as AdminVideo
    expect(reply.status).toBe(201)
    expect(reply.headers.get('location')).toBe(`/admin/api/videos/${video.id}/`)
    expect(video).toMatchObject({
      id: expect.any(Number),
      title,
      description: 'Half a second of it',
      category: 'Comedy',
      image_file: null,
      converted_files: {},
      processing_error: null,
      source: {
        file_name: 'holiday.mp4',
        size_bytes: (await readFile(path)).length,
        error: null,
      },
      is_replacing: false,
    })
    expect(await adminVideo(superuser, video.id)).toEqual(video)
    expect(await filesIn(app.settings.uploads.dir)).toEqual([])
  })

  test('fields may come after the file', async () => {
    const form = await aForm({}, await film(SHORT))
    const title = aTitle()
    form.append('title', title)
    form.append('category', 'Western')
    const reply = await postForm(superuser, form)
    expect(reply.status).toBe(201)
    expect(await reply.json()).toMatchObject({ title, category: 'Western' })
  })

  test('a film without a title is named after its file, and twice is no clash', async () => {
    const path = await film(SHORT)
    const names: string[] = []
    for (let time = 0; time < 3; time += 1) {
      const reply = await postForm(superuser, await aForm({}, path, `my_${backend}.final.mov`))
      names.push(((await reply.json()) as AdminVideo).title)
    }
    expect(names).toEqual([
      `my ${backend} final`,
      `my ${backend} final (2)`,
      `my ${backend} final (3)`,
    ])
  })

  describe('what is wrong with a form is said by field, and leaves nothing behind', () => {
    const cases: [string, () => Promise<FormData>, object][] = [
      ['no file', () => aForm({ title: aTitle() }), { video_file: ['This field is required.'] }],
      [
        'a text where the file should be',
        () => aForm({ title: aTitle(), video_file: 'film.mp4' }),
        { video_file: ['This field is required.'] },
      ],
      [
        'an empty file',
        async () => aForm({ title: aTitle() }, await badFilm('empty')),
        { video_file: ['The submitted file is empty.'] },
      ],
      [
        'a blank title',
        async () => aForm({ title: '  \t ' }, await film(SHORT)),
        { title: ['This field may not be blank.'] },
      ],
      [
        'a title of 256 characters',
        async () => aForm({ title: '🎬'.repeat(256) }, await film(SHORT)),
        { title: ['Ensure this field has no more than 255 characters.'] },
      ],
      [
        'a title with NUL',
        async () => aForm({ title: 'a\0b' }, await film(SHORT)),
        { title: ['Null characters are not allowed.'] },
      ],
      [
        'a description of 10,001 characters',
        async () => aForm({ title: aTitle(), description: 'x'.repeat(10_001) }, await film(SHORT)),
        { description: ['Ensure this field has no more than 10000 characters.'] },
      ],
      [
        'an unknown category',
        async () => aForm({ title: aTitle(), category: 'Cats' }, await film(SHORT)),
        { category: ['"Cats" is not a valid choice.'] },
      ],
      [
        'a checksum that is none',
        async () => aForm({ title: aTitle(), sha256: 'abc' }, await film(SHORT)),
        { sha256: ['Write the SHA-256 of the file as 64 hexadecimal digits.'] },
      ],
      [
        'two files',
        async () => {
          const form = await aForm({ title: aTitle() }, await film(SHORT))
          form.append('video_file', new Blob(['another']), 'b.mp4')
          return form
        },
        { video_file: ['Send one file at a time.'] },
      ],
    ]

    test.each(cases)('%s', async (_name, makeForm, errors) => {
      const before = await traces(app)
      const reply = await postForm(superuser, await makeForm())
      expect({ status: reply.status, body: await reply.json() }).toEqual({
        status: 400,
        body: errors,
      })
      expect(await traces(app)).toEqual(before)
      await upload(superuser)
    })

    test('a taken title', async () => {
      const { title } = await upload(superuser)
      const before = await traces(app)
      const reply = await postForm(superuser, await aForm({ title }, await film(SHORT)))
      expect(reply.status).toBe(400)
      expect(await reply.json()).toEqual({ title: ['Video with this title already exists.'] })
      expect(await traces(app)).toEqual(before)
    })

    test('a title that two uploads want at once goes to one of them', async () => {
      const title = aTitle()
      const before = await traces(app)
      const replies = await Promise.all(
        Array.from({ length: 5 }, async () =>
          postForm(superuser, await aForm({ title }, await film(SHORT))),
        ),
      )
      expect(replies.map((reply) => String(reply.status)).sort()).toEqual([
        '201',
        '400',
        '400',
        '400',
        '400',
      ])
      const after = await traces(app)
      expect(after['staging']).toEqual([])
      expect((after['originals'] as string[]).length).toBe(
        (before['originals'] as string[]).length + 1,
      )
    })

    test('a wrong checksum; the right one is kept', async () => {
      const path = await film(SHORT)
      const wrong = await postForm(
        superuser,
        await aForm({ title: aTitle(), sha256: 'a'.repeat(64) }, path),
      )
      expect(wrong.status).toBe(400)
      const { sha256: told } = (await wrong.json()) as { sha256: [string] }
      const [, actual = ''] = /\(([0-9a-f]{64})\)/.exec(told[0]) ?? []
      const right = await upload(superuser, { path, sha256: actual.toUpperCase() })
      expect(right.source?.sha256).toBe(actual)
    })

    test('more bytes than MAX_UPLOAD_BYTES', async () => {
      const before = await traces(app)
      const tooLarge = { detail: expect.stringContaining('MAX_UPLOAD_BYTES') }
      for (const size of [MAX_BYTES + 1, 40_000_000]) {
        const form = await aForm({ title: aTitle() })
        form.append('video_file', new Blob([Buffer.alloc(size)]), 'large.mp4')
        const reply = await postForm(superuser, form)
        expect(reply.status).toBe(413)
        expect(await reply.json()).toEqual(tooLarge)
      }
      expect(await traces(app)).toEqual(before)
      await upload(superuser)
    })

    test('more bytes than MAX_UPLOAD_BYTES, from a client that does not say how many', async () => {
      const before = await traces(app)
      const { status } = await postChunked(app, superuser, MAX_BYTES * 5)
      expect(status).toBe(413)
      expect(await traces(app)).toEqual(before)
    })
  })

  test.each([
    ['JSON', 'application/json', '{"title": "x"}', 415],
    ['text', 'text/plain', 'x', 415],
    ['a form of the other kind', 'application/x-www-form-urlencoded', 'title=x', 415],
    ['no boundary', 'multipart/form-data', 'x', 400],
    ['no part at all', 'multipart/form-data; boundary=b', '', 400],
    ['no end', 'multipart/form-data; boundary=b', '--b\r\nContent-Dispo', 400],
    [
      'a file without an end',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="video_file"; filename="a.mp4"\r\n\r\nabc',
      400,
    ],
    ['noise', 'multipart/form-data; boundary=b', '\0\x01\x02\xff'.repeat(1000), 400],
    [
      'a field named __proto__',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="__proto__"\r\n\r\nabc\r\n--b--\r\n',
      400,
    ],
    [
      'more fields than anybody needs',
      'multipart/form-data; boundary=b',
      `${'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nabc\r\n'.repeat(50)}--b--\r\n`,
      400,
    ],
  ])('%s is refused', async (_name, type, body, status) => {
    const before = await traces(app)
    const init = { method: 'POST', body, headers: { 'content-type': type } }
    const reply = await superuser.request('/admin/api/videos/', init)
    expect({ status: reply.status, body: await reply.json() }).toMatchObject({ status })
    expect(await traces(app)).toEqual(before)
  })

  test('a request without a body or type is refused', async () => {
    const reply = await superuser.request('/admin/api/videos/', { method: 'POST' })
    expect(reply.status).toBe(415)
  })

  test('a connection cut in the middle leaves nothing behind', async () => {
    const before = await traces(app)
    const socket = connect(Number(new URL(app.origin).port), '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      [
        'POST /admin/api/videos/ HTTP/1.1',
        'Host: 127.0.0.1',
        `Cookie: ${cookiesOf(superuser)}`,
        'Content-Type: multipart/form-data; boundary=b',
        'Content-Length: 900000',
        '',
        '--b\r\nContent-Disposition: form-data; name="video_file"; filename="a.mp4"\r\n\r\nabc',
        '',
      ].join('\r\n'),
    )
    socket.write(Buffer.alloc(200_000))
    await until(
      async () => (await filesIn(app.settings.uploads.dir)).length > 0,
      'the upload has begun',
    )
    socket.destroy()
    await until(
      async () => (await filesIn(app.settings.uploads.dir)).length === 0,
      'staging is empty',
    )
    expect(await traces(app)).toEqual(before)
    await upload(superuser)
  })

  test.each([
    ['with folders', '../../../x.mp4', 'x.mp4', 'x'],
    ['with folders of Windows', '..\\..\\x.mp4', 'x.mp4', 'x'],
    ['that is a path', '/etc/passwd', 'passwd', 'passwd'],
    ['for a shell', "b'c;$(touch x).mp4", "b'c;$(touch x).mp4", "b'c;$(touch x)"],
    ['like an option', '-i.mp4', '-i.mp4', '-i'],
    ['that is a folder', '..', 'unnamed', 'unnamed'],
    ['without end', '🎬'.repeat(2000) + '.mp4', '🎬'.repeat(255), '🎬'.repeat(240)],
  ])('a file name %s is only ever shown', async (_name, given, shown, title) => {
    const description = `named ${given.slice(0, 20)}`
    const form = await aForm({ description }, await film(SHORT), given)
    const reply = await postForm(superuser, form)
    const video = (await reply.json()) as AdminVideo
    expect(reply.status).toBe(201)
    expect(video.source?.file_name).toBe(shown)
    expect(video.title.replace(/ \(\d+\)$/, '')).toBe(title)
    const { staging, originals } = (await traces(app)) as Record<string, string[]>
    for (const name of [...(staging ?? []), ...(originals ?? [])]) {
      expect(name).toMatch(/^[A-Za-z0-9_-]{22}$/)
    }
  })

  test('a file name with NUL is shown without', async () => {
    const bytes = await readFile(await film(SHORT))
    const head =
      '--b\r\nContent-Disposition: form-data; name="video_file"; filename="a\0b.mp4"\r\n\r\n'
    const reply = await superuser.request('/admin/api/videos/', {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      body: Buffer.concat([Buffer.from(head), bytes, Buffer.from('\r\n--b--\r\n')]),
    })
    expect(reply.status).toBe(201)
    expect(((await reply.json()) as AdminVideo).source?.file_name).toBe('ab.mp4')
  })

  test('viewers and strangers are refused, and what they send is not kept', async () => {
    const form = () => film(SHORT).then((path) => aForm({ title: aTitle() }, path))
    const before = await traces(app)
    expect((await postForm(app.client(), await form())).status).toBe(401)
    expect((await postForm(await app.viewer(), await form())).status).toBe(403)
    expect(await traces(app)).toEqual(before)
  })

  test('a page of another origin cannot upload', async () => {
    const form = await aForm({ title: aTitle() }, await film(SHORT))
    const headers = { origin: 'https://evil.example' }
    const init = { method: 'POST', body: form, headers }
    expect((await superuser.request('/admin/api/videos/', init)).status).toBe(403)
  })

  test('a replacement needs a video and a file', async () => {
    const body = await aForm({}, await film(SHORT))
    const init = { method: 'PUT', body }
    const before = await traces(app)
    expect((await superuser.request('/admin/api/videos/999999/source/', init)).status).toBe(404)
    const { id } = await upload(superuser)
    const empty = { method: 'PUT', body: await aForm({ title: 'x' }) }
    const reply = await superuser.request(`/admin/api/videos/${id}/source/`, empty)
    expect(reply.status).toBe(400)
    expect(await reply.json()).toEqual({ video_file: ['This field is required.'] })
    expect((await traces(app))['staging']).toEqual(before['staging'])
    const replaced = await replaceSource(superuser, id, await badFilm('text'))
    expect(replaced.source?.size_bytes).toBe((await readFile(await badFilm('text'))).length)
  })

  test('who uploads and replaces is in the audit log', async () => {
    const { id } = await upload(superuser)
    await replaceSource(superuser, id, await film(SHORT))
    const rows = await app.app.db.selectFrom('audit').selectAll().orderBy('id').execute()
    const mine = rows.filter((row) => (row.details as { video?: number }).video === id)
    expect(mine.map((row) => row.event)).toEqual(['video_uploaded', 'video_replaced'])
    expect(mine.every((row) => row.user_id !== null && row.address === '127.0.0.1')).toBe(true)
  })

  test('uploads are refused before the disk is full', async () => {
    await using crowded = await startApp({ backend, env: { MIN_FREE_DISK_BYTES: `${2 ** 52}` } })
    const admin = await crowded.superuser()
    const reply = await postForm(admin, await aForm({ title: aTitle() }, await film(SHORT)))
    expect(reply.status).toBe(507)
    expect(await reply.json()).toEqual({ detail: expect.stringContaining('disk') })
    expect((await traces(crowded))['staging']).toEqual([])
  })
})

function cookiesOf(client: Client): string {
  return [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
}

/** A form without a Content-Length, so that only counting tells its size. */
async function postChunked(
  app: TestApp,
  client: Client,
  sizeBytes: number,
): Promise<{ status: number | undefined }> {
  const request = httpRequest(`${app.origin}/admin/api/videos/`, {
    method: 'POST',
    headers: { cookie: cookiesOf(client), 'content-type': 'multipart/form-data; boundary=b' },
  })
  const replied = once(request, 'response')
  request.on('error', () => {})
  request.write(
    '--b\r\nContent-Disposition: form-data; name="video_file"; filename="a.mp4"\r\n\r\n',
  )
  for (let sent = 0; sent < sizeBytes; sent += 100_000) request.write(Buffer.alloc(100_000))
  request.end('\r\n--b--\r\n')
  const [response] = (await replied) as [import('node:http').IncomingMessage]
  response.resume()
  await once(response, 'end')
  return { status: response.statusCode }
}
