import { detailError, playback as playbackObject } from '@videoflix/contract'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { acceptsGzip } from '../http/accepts-gzip.ts'
import { gzip } from '../http/gzip-pieces.ts'
import { isSigned, viewerOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import type { Clock } from '../ports/clock.ts'
import type { SignedUrls } from '../storage/signed-urls.ts'
import { idOf } from '../videos/routes.ts'
import type { Permit, Playback } from './playback.ts'

const HLS = 'application/vnd.apple.mpegurl'
const DASH = 'application/dash+xml'
const WEBVTT = 'text/vtt; charset=utf-8'
const SIGNED =
  'The URL in a reply of this API is signed: whoever has it needs no cookie until it expires. Without `signature`, a session is needed.'

/** Playlists are asked for by players, which have a signed URL and no cookies; a session is as good. */
export function playbackRoutes(
  server: Server,
  needs: { playback: Playback; playlists: SignedUrls; clock: Clock },
): void {
  const { playback, playlists, clock } = needs

  /** Throws `forbidden` where the URL has a signature that is no good, whoever is signed in. */
  function permitOf(request: FastifyRequest): Permit {
    if (!isSigned(request)) {
      return { expires: null, seesUnpublished: viewerOf(request).isSuperuser }
    }
    const grant = playlists.grantedBy(request.raw.url ?? '', clock.now())
    if (grant === null) {
      throw new AppError('forbidden', 'This link is not valid any more: ask for the video again.')
    }
    return { expires: grant.expires, seesUnpublished: true }
  }

  server.get(
    '/content/:id/playback/',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['Catalogue'],
        summary: 'What a player needs: playlists, chapters, languages',
        params: ofVideo,
        response: { 200: playbackObject, 404: detailError },
      },
    },
    async (request) => await playback.describe(idIn(request.params.id), permitOf(request)),
  )

  server.get(
    '/content/:id/master.m3u8',
    described('The master playlist (HLS)', HLS, ofVideo),
    async (request, reply) => {
      const permit = permitOf(request)
      await sendText(request, reply, HLS, await playback.master(idIn(request.params.id), permit))
    },
  )

  server.get(
    '/content/:id/manifest.mpd',
    described('The manifest (DASH)', DASH, ofVideo),
    async (request, reply) => {
      const permit = permitOf(request)
      await sendText(request, reply, DASH, await playback.manifest(idIn(request.params.id), permit))
    },
  )

  server.get(
    '/content/:id/:sourceId/:playlist.m3u8',
    described('A media playlist (HLS)', HLS, ofSource.extend({ playlist: z.string() })),
    async (request, reply) => {
      const permit = permitOf(request)
      const { id, sourceId, playlist } = request.params
      const text = await playback.mediaPlaylist(idIn(id), idIn(sourceId), playlist, permit)
      await sendText(request, reply, HLS, text)
    },
  )

  server.get(
    '/content/:id/:sourceId/storyboard.vtt',
    described('Small pictures for seeking (WebVTT)', WEBVTT, ofSource),
    async (request, reply) => {
      const permit = permitOf(request)
      const { id, sourceId } = request.params
      const text = await playback.storyboard(idIn(id), idIn(sourceId), permit)
      await sendText(request, reply, WEBVTT, text)
    },
  )
}

const ofVideo = z.object({ id: z.string() })
const ofSource = ofVideo.extend({ sourceId: z.string() })

function idIn(text: string): number {
  return idOf(text, 'Not found.')
}

function described<Params extends z.ZodType>(summary: string, type: string, params: Params) {
  return {
    config: { access: 'viewer', acceptsSignature: true },
    schema: {
      tags: ['Catalogue'],
      summary,
      description: SIGNED,
      params,
      produces: [type],
      response: { 200: z.string(), 403: detailError, 404: detailError },
    },
  } as const
}

/** A film of two hours has a playlist of half a megabyte, most of which is one URL again and again. */
async function sendText(
  request: FastifyRequest,
  reply: FastifyReply,
  type: string,
  text: string,
): Promise<void> {
  reply.headers({
    'content-type': type,
    'cache-control': 'private, no-cache',
    vary: 'Origin, Accept-Encoding',
  })
  if (!acceptsGzip(request)) return reply.send(text)
  return reply.header('content-encoding', 'gzip').send(await gzip(Buffer.from(text)))
}
