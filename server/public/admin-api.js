/** Requests to this server with the session's cookies. */

export class ApiError extends Error {
  name = 'ApiError'

  /** `body`: the reply's JSON, `{detail}` or `{field: [messages]}`; null if it has none. */
  constructor(status, body) {
    const { detail, error, message, ...fields } = body ?? {}
    const told = detail ?? error ?? message ?? Object.values(fields).flat().join(' ')
    super(told || fallback(status))
    this.status = status
    /** What the server calls it, such as `otp_required`. */
    this.code = body?.code
    this.fields = told && told === (detail ?? error ?? message) ? {} : fields
  }
}

function fallback(status) {
  return status === 0
    ? 'The server cannot be reached. Please check your connection.'
    : `The server replied with an error (${status}).`
}

/** Fires `lost` when the session has ended and could not be renewed. */
export const session = new EventTarget()

let renewing = null
/** Once for all who ask at the same time. Says whether there is a session again. */
function renew() {
  renewing ??= sendJson('/users/refresh/', { method: 'POST' })
    .then(async (reply) => {
      if (reply.status === 401) return false
      if (!reply.ok) throw await errorOf(reply)
      return true
    })
    .finally(() => {
      renewing = null
    })
  return renewing
}

/** Does `send`; on 401 renews the session and does it once more. */
export async function withSession(send) {
  const reply = await send()
  if (reply.status !== 401) return reply
  if (await renew()) {
    const second = await send()
    if (second.status !== 401) return second
  }
  session.dispatchEvent(new Event('lost'))
  throw new ApiError(401, { detail: 'Your session has ended. Please sign in again.' })
}

async function sendJson(path, { method = 'GET', json, form, signal } = {}) {
  try {
    return await fetch(path, {
      method,
      signal,
      ...(json && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(json),
      }),
      ...(form && { body: form }),
    })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new ApiError(0, null)
  }
}

async function errorOf(reply) {
  return new ApiError(reply.status, await reply.json().catch(() => null))
}

async function resultOf(reply) {
  if (!reply.ok) throw await errorOf(reply)
  return reply.status === 204 ? null : await reply.json()
}

/** The reply's JSON. Throws ApiError. */
const request = async (path, options) =>
  await resultOf(await withSession(() => sendJson(path, options)))

export const signIn = async (json) =>
  await resultOf(await sendJson('/users/login/', { method: 'POST', json }))
export const signOut = async () =>
  await resultOf(await sendJson('/users/logout/', { method: 'POST' }))

const VIDEOS = '/admin/api/videos/'
export const listVideos = (query, signal) =>
  request(`${VIDEOS}?${new URLSearchParams(query)}`, { signal })
export const getVideo = (id) => request(`${VIDEOS}${id}/`)
export const editVideo = (id, json) => request(`${VIDEOS}${id}/`, { method: 'PATCH', json })
export const deleteVideo = (id) => request(`${VIDEOS}${id}/`, { method: 'DELETE' })
export const retryVideo = (id) => request(`${VIDEOS}${id}/retry/`, { method: 'POST' })

const DIRECT_UPLOADS = '/admin/api/direct-uploads/'
export const beginUpload = (json) => request(DIRECT_UPLOADS, { method: 'POST', json })
export const describeUpload = (id, signal) => request(`${DIRECT_UPLOADS}${id}/`, { signal })
export async function urlOfPart(id, number, signal) {
  const json = { numbers: [number] }
  const { parts } = await request(`${DIRECT_UPLOADS}${id}/parts/`, { method: 'POST', json, signal })
  return parts[0].url
}
export const completeUpload = (id, json, signal) =>
  request(`${DIRECT_UPLOADS}${id}/complete/`, { method: 'POST', json, signal })
export const endUpload = (id) => request(`${DIRECT_UPLOADS}${id}/`, { method: 'DELETE' })

export const listSubtitles = (id) => request(`${VIDEOS}${id}/subtitles/`)
export const addSubtitles = (id, form) =>
  request(`${VIDEOS}${id}/subtitles/`, { method: 'POST', form })
export const removeSubtitles = (id, subtitlesId) =>
  request(`${VIDEOS}${id}/subtitles/${subtitlesId}/`, { method: 'DELETE' })

/** All that a player needs; before viewers get it, if the rest is still being made. */
export const getPlayback = (id) => request(`/content/${id}/playback/`)

const WEBHOOKS = '/admin/api/webhooks/'
export const listDeliveries = (query, signal) =>
  request(`${WEBHOOKS}deliveries/?${new URLSearchParams(query)}`, { signal })
export const replayDelivery = (id) =>
  request(`${WEBHOOKS}deliveries/${id}/replay/`, { method: 'POST' })
export const testWebhooks = () => request(`${WEBHOOKS}test/`, { method: 'POST' })

/**
 * Signed URLs name the server as viewers reach it; this page may be open under another name. Media that is elsewhere, in
 * a bucket, has a URL that says so.
 */
export function localUrl(url) {
  const { pathname, search, searchParams } = new URL(url)
  const isOurs = searchParams.has('signature') && searchParams.has('expires')
  return isOurs ? pathname + search : url
}
