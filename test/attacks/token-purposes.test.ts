import type { AdminVideo } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aPerson, aResetLink } from '../accounts/person.ts'
import { BACKENDS, startApp, SUPERUSER, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { aReadyVideo } from '../videos/library.ts'

const PURPOSES = ['access', 'refresh', 'confirm', 'reset', 'media', 'upload'] as const
type Purpose = (typeof PURPOSES)[number]
type Uid = string

describe.each(BACKENDS)('a token works only for its purpose, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let video: AdminVideo
  beforeAll(async () => {
    // Tokens of media in S3 are S3's own: test/storage/s3.test.ts tries them.
    app = await startApp({ backend, media: 'local' })
    superuser = await app.superuser()
    video = await aReadyVideo(app, superuser)
  })
  afterAll(() => app.stop())

  /** Whether the door opens; what it opens is undone by nobody, so that each try has tokens of its own. */
  const DOORS: Record<Purpose, (token: string, uid: Uid) => Promise<boolean>> = {
    async access(token) {
      const asCookie = await app.client().get('/content/', { headers: cookie('access', token) })
      const headers = { authorization: `Bearer ${token}` }
      const asBearer = await app.client().get('/content/', { headers })
      const asAdmin = await app.client().get('/admin/api/videos/', { headers })
      return [asCookie, asBearer, asAdmin].some(({ ok }) => ok)
    },
    async refresh(token) {
      const headers = cookie('refresh', token)
      const reply = await app.client().post('/users/refresh/', undefined, { headers })
      return reply.ok || reply.headers.getSetCookie().length > 0
    },
    async confirm(token, uid) {
      const query = new URLSearchParams({ uid, token }).toString()
      const reply = await app.client().get(`/users/confirm/?${query}`)
      const change = await app.client().get(`/users/confirm-email/?${query}`)
      return [reply, change].some(({ status }) => status < 400)
    },
    async reset(token, uid) {
      const body = { uid, token, new_password: 'four lamps in a row' }
      return (await app.client().post('/users/reset-password/', body)).ok
    },
    /** As the signature of the URL, and as the whole grant of the file. */
    async media(token) {
      const url = new URL(video.video_file ?? '')
      url.searchParams.set('signature', token)
      const bare = new URL(url.pathname, url)
      bare.searchParams.set('token', token)
      const asked = [url.href, bare.href, `${bare.origin}${bare.pathname}?${token}`]
      const replies = await Promise.all(asked.map((each) => fetch(each)))
      const headers = { authorization: `Bearer ${token}` }
      replies.push(await fetch(`${bare.origin}${bare.pathname}`, { headers }))
      return replies.some(({ ok }) => ok)
    },
    /** An upload's id is no key by itself: without a superuser it opens nothing. */
    async upload(token) {
      const headers = { 'tus-resumable': '1.0.0' }
      const path = `/admin/api/uploads/${encodeURIComponent(token)}`
      return (await superuser.request(path, { method: 'HEAD', headers })).ok
    },
  }

  async function freshTokens(): Promise<Record<Purpose, string> & { uid: Uid }> {
    const person = await aPerson(app, { isConfirmed: false })
    const reset = await aResetLink(app, person)
    const client = app.client()
    await client.post('/users/login/', SUPERUSER)
    const upload = await superuser.request('/admin/api/uploads/', {
      method: 'POST',
      headers: { 'tus-resumable': '1.0.0', 'upload-length': '10' },
    })
    return {
      uid: person.link.uid,
      access: client.cookies.get('vf_access') ?? '',
      refresh: client.cookies.get('vf_refresh') ?? '',
      confirm: person.link.token,
      reset: reset.token,
      media: new URL(video.video_file ?? '').searchParams.get('signature') ?? '',
      upload: upload.headers.get('location')?.split('/').at(-1) ?? '',
    }
  }

  test.each(PURPOSES)(
    'a %s token opens its own door, and none of the five others',
    async (purpose) => {
      const opened: string[] = []
      for (const door of PURPOSES.filter((each) => each !== purpose)) {
        const tokens = await freshTokens()
        expect(tokens[purpose].length).toBeGreaterThan(20)
        if (await DOORS[door](tokens[purpose], tokens.uid)) opened.push(door)
      }
      expect(opened).toEqual([])
      const tokens = await freshTokens()
      expect(await DOORS[purpose](tokens[purpose], tokens.uid)).toBe(true)
    },
  )

  test('the id of an upload opens nothing without a superuser', async () => {
    const { upload } = await freshTokens()
    const path = `/admin/api/uploads/${upload}`
    const headers = { 'tus-resumable': '1.0.0' }
    for (const client of [app.client(), await app.viewer()]) {
      for (const method of ['HEAD', 'PATCH', 'DELETE']) {
        const { status } = await client.request(path, { method, headers })
        expect([method, status === 401 || status === 403]).toEqual([method, true])
      }
    }
    expect((await superuser.request(path, { method: 'HEAD', headers })).status).toBe(200)
  })

  test('the two cookies are not read for one another', async () => {
    const { access, refresh } = await freshTokens()
    const swapped = { cookie: `vf_access=${refresh}; vf_refresh=${access}` }
    expect((await app.client().get('/content/', { headers: swapped })).status).toBe(401)
    const renewed = await app.client().post('/users/refresh/', undefined, { headers: swapped })
    expect(renewed.status).toBe(401)
    // Signing out with the wrong ones ends nothing.
    await app.client().post('/users/logout/', undefined, { headers: swapped })
    const headers = { cookie: `vf_access=${access}; vf_refresh=${refresh}` }
    expect((await app.client().get('/content/', { headers })).status).toBe(200)
  })

  function cookie(name: 'access' | 'refresh', token: string): Record<string, string> {
    return { cookie: `vf_${name}=${token}` }
  }
})
