import type { Subtitles } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { strictCues } from '../../server/src/subtitles/strict-webvtt.fixture.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { storedKeys } from '../harness/stored.ts'
import { allDone, filesIn, upload } from '../videos/library.ts'

const SRT = '1\r\n00:00:01,000 --> 00:00:02,500\r\nGrüße &\r\n<font color="red">mehr</font>\r\n'
const REQUIRED = ['This field is required.']

describe.each(BACKENDS)('subtitles, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let videoId: number
  beforeAll(async () => {
    app = await startApp({ backend })
    superuser = await app.superuser()
    videoId = await aVideo()
  })
  afterAll(() => app.stop())

  /** What becomes of the film does not matter here. */
  const aVideo = async (): Promise<number> => (await upload(superuser, { bad: 'text' })).id
  const pathOf = (id: number | string = videoId): string => `/admin/api/videos/${id}/subtitles/`
  const onePath = ({ id }: Subtitles, video = videoId): string => `${pathOf(video)}${id}/`

  function aForm(
    fields: Record<string, string>,
    file: string | Uint8Array<ArrayBuffer> | null = SRT,
  ): FormData {
    const form = new FormData()
    for (const [name, value] of Object.entries(fields)) form.append(name, value)
    if (file !== null) form.append('file', new Blob([file]), '../../film.srt')
    return form
  }

  const post = (body: FormData, id: number | string = videoId): Promise<Response> =>
    superuser.request(pathOf(id), { method: 'POST', body })

  async function add(fields: Record<string, string>, id = videoId): Promise<Subtitles> {
    const reply = await post(aForm(fields), id)
    expect(reply.status).toBe(201)
    return (await reply.json()) as Subtitles
  }

  async function refusalOf(form: FormData): Promise<unknown> {
    const reply = await post(form)
    expect(reply.status).toBe(400)
    return await reply.json()
  }

  async function list(id = videoId): Promise<Subtitles[]> {
    const reply = await superuser.get(pathOf(id))
    expect(reply.status).toBe(200)
    return (await reply.json()) as Subtitles[]
  }

  const rowOf = ({ id }: Subtitles) =>
    app.app.db.selectFrom('subtitles').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

  async function storedText(key: string): Promise<string> {
    const chunks: Buffer[] = []
    for await (const chunk of await app.app.media.read(key)) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  }

  const filesOf = (id: number): Promise<string[]> =>
    storedKeys(app, 'media', `videos/${id}/subtitles/`)

  /** Tidying leaves new files alone, as their rows may be about to be written. */
  const age = (): void => app.clock.advance(120_000)

  const updatedAt = async (): Promise<string> => {
    const reply = await superuser.get(`/admin/api/videos/${videoId}/`)
    return ((await reply.json()) as { updated_at: string }).updated_at
  }

  async function lastAudit(): Promise<unknown> {
    const query = app.app.db.selectFrom('audit').selectAll().orderBy('id', 'desc')
    const { event, details } = await query.executeTakeFirstOrThrow()
    return { event, details }
  }

  test('a file becomes clean WebVTT under a key of its own', async () => {
    const before = await updatedAt()
    app.clock.advance(1000)
    const added = await add({ language: 'ger' })
    expect(added).toEqual({
      id: expect.any(Number),
      language: 'de',
      label: 'German',
      is_forced: false,
      is_embedded: false,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    })
    expect(await list()).toContainEqual(added)
    const { object_key, source_id } = await rowOf(added)
    expect(source_id).toBeNull()
    expect(object_key).toMatch(new RegExp(`^videos/${videoId}/subtitles/[\\w-]{22}\\.vtt$`))
    const text = await storedText(object_key)
    expect(text).toBe('WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nGrüße &amp;\nmehr\n')
    expect(strictCues(text)).toHaveLength(1)
    expect((await updatedAt()) > before).toBe(true)
    expect(await lastAudit()).toEqual({
      event: 'subtitles_added',
      details: { video: videoId, subtitles: added.id, language: 'de' },
    })
    expect(await filesIn(app.settings.uploads.dir)).toEqual([])
  })

  test('labels are given, or made so that each is another', async () => {
    const id = await aVideo()
    const labelOf = async (fields: Record<string, string>): Promise<string> =>
      (await add(fields, id)).label
    expect(await labelOf({ language: 'pt-br' })).toBe('Brazilian Portuguese')
    expect(await labelOf({ language: 'en' })).toBe('English')
    expect(await labelOf({ language: 'en', label: '' })).toBe('English 2')
    expect(await labelOf({ language: 'en', is_forced: 'true' })).toBe('English (forced)')
    expect(await labelOf({ language: 'en', label: ' Director’s comments ' })).toBe(
      'Director’s comments',
    )
    expect(await labelOf({ language: 'zz' })).toBe('zz')
    expect((await list(id)).map(({ is_forced }) => is_forced)).toEqual([
      ...[false, false, false, true, false, false],
    ])
  })

  test('they can be changed', async () => {
    const added = await add({ language: 'fr', label: 'before' })
    const changes = { language: 'EN-us', label: 'American', is_forced: true }
    const reply = await superuser.patch(onePath(added), changes)
    expect([reply.status, await reply.json()]).toEqual([
      200,
      { ...added, ...changes, language: 'en-US' },
    ])
    const again = await superuser.patch(onePath(added), { label: 'Yankee' })
    expect(await again.json()).toEqual({
      ...added,
      language: 'en-US',
      label: 'Yankee',
      is_forced: true,
    })
    expect(await list()).toContainEqual(expect.objectContaining({ id: added.id, label: 'Yankee' }))
    expect(await lastAudit()).toMatchObject({ event: 'subtitles_edited' })
    const bad = await superuser.patch(onePath(added), { label: '', is_forced: 1, language: 'x' })
    expect([bad.status, await bad.json()]).toEqual([
      400,
      {
        label: ['This field may not be blank.'],
        is_forced: ['Must be a valid boolean.'],
        language: [expect.stringContaining('"pt-BR"')],
      },
    ])
  })

  test('removed ones go with their file, and no others', async () => {
    const id = await aVideo()
    const kept = await add({ language: 'en' }, id)
    const removed = await add({ language: 'de' }, id)
    const { object_key: keptKey } = await rowOf(kept)
    age()
    const reply = await superuser.delete(onePath(removed, id))
    expect([reply.status, await reply.text()]).toEqual([204, ''])
    expect(await list(id)).toEqual([kept])
    expect(await lastAudit()).toMatchObject({ event: 'subtitles_removed' })
    await allDone(app)
    expect(await filesOf(id)).toEqual([keptKey])
    expect((await superuser.delete(onePath(removed, id))).status).toBe(404)
  })

  test('a deleted video takes its subtitles along', async () => {
    const id = await aVideo()
    await add({ language: 'en' }, id)
    expect(await filesOf(id)).toHaveLength(1)
    age()
    await superuser.delete(`/admin/api/videos/${id}/`)
    await allDone(app)
    expect(await filesOf(id)).toEqual([])
    expect((await superuser.get(pathOf(id))).status).toBe(404)
    expect((await post(aForm({ language: 'en' }), id)).status).toBe(404)
    const rows = app.app.db.selectFrom('subtitles').select('id').where('video_id', '=', id)
    expect(await rows.execute()).toEqual([])
  })

  test('those of one video are not found under another', async () => {
    const added = await add({ language: 'en' })
    const other = await aVideo()
    for (const reply of [
      await superuser.patch(onePath(added, other), { label: 'x' }),
      await superuser.delete(onePath(added, other)),
      await superuser.delete(`${pathOf()}x/`),
      await superuser.get(pathOf('x')),
    ]) {
      expect([reply.status, await reply.json()]).toEqual([404, { detail: 'Not found.' }])
    }
    expect(await list()).toContainEqual(added)
  })

  test('what is wrong is told under its field, and leaves nothing', async () => {
    const before = [await list(), await filesOf(videoId)]
    expect(await refusalOf(aForm({}, null))).toEqual({ file: REQUIRED, language: REQUIRED })
    expect(await refusalOf(aForm({ language: 'en' }, null))).toEqual({ file: REQUIRED })
    expect(await refusalOf(aForm({ language: '' }))).toEqual({
      language: ['This field may not be blank.'],
    })
    expect(await refusalOf(aForm({ language: 'german', is_forced: 'perhaps' }))).toEqual({
      language: [expect.stringContaining('"pt-BR"')],
      is_forced: ['Must be a valid boolean.'],
    })
    expect(await refusalOf(aForm({ language: 'en', label: 'x'.repeat(101) }))).toEqual({
      label: ['Ensure this field has no more than 100 characters.'],
    })
    expect(await refusalOf(aForm({ language: 'en' }, 'Once upon a time'))).toEqual({
      file: [expect.stringMatching(/no subtitles: /)],
    })
    expect(await refusalOf(aForm({ language: 'en' }, new Uint8Array(3_000_000)))).toEqual({
      file: [expect.stringContaining('larger than 2 MB')],
    })
    const twice = aForm({ language: 'en' })
    twice.append('file', new Blob([SRT]), 'b.srt')
    expect(await refusalOf(twice)).toEqual({ file: ['Send one file at a time.'] })
    expect([await list(), await filesOf(videoId)]).toEqual(before)
    expect(await filesIn(app.settings.uploads.dir)).toEqual([])
  })

  test('only forms are taken', async () => {
    const json = await superuser.post(pathOf(), { language: 'en' })
    expect(json.status).toBe(415)
    const headers = { 'content-type': 'multipart/form-data; boundary=x' }
    const cut = await superuser.request(pathOf(), { method: 'POST', headers, body: '--x\r\nhalf' })
    expect(cut.status).toBe(400)
  })

  test('a video has at most fifty, however many are sent at once', async () => {
    const id = await aVideo()
    // Else what tidies up after the film takes new files for old: the clock is ahead of them by now.
    await allDone(app)
    for (let number = 1; number <= 48; number += 1) await add({ language: 'en' }, id)
    const replies = await Promise.all(
      Array.from({ length: 5 }, () => post(aForm({ language: 'de' }), id)),
    )
    const refused = replies.filter(({ status }) => status === 400)
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(2)
    expect(refused).toHaveLength(3)
    expect(await refused[0]?.json()).toEqual({
      non_field_errors: [expect.stringContaining('at most 50')],
    })
    const labels = (await list(id)).map(({ label }) => label)
    expect(new Set(labels).size).toBe(50)
    expect(await filesOf(id)).toHaveLength(50)
  })

  test('they are for superusers', async () => {
    const added = await add({ language: 'en' })
    const viewer = await app.viewer()
    const stranger = app.client()
    for (const [client, status] of [
      [viewer, 403],
      [stranger, 401],
    ] as const) {
      const body = aForm({ language: 'en' })
      const replies = [
        await client.get(pathOf()),
        await client.request(pathOf(), { method: 'POST', body }),
        await client.patch(onePath(added), { label: 'x' }),
        await client.delete(onePath(added)),
      ]
      expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => status))
    }
    expect(await list()).toContainEqual(added)
  })
})
