import { messageError } from '@videoflix/contract'
import { z } from 'zod'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors.ts'
import { viewerOf } from '../http/authentication.ts'
import type { Server } from '../http/server.ts'
import type { Clock } from '../ports/clock.ts'
import { listFavorites, toggleFavorite } from './favorites.ts'

export function favoriteRoutes(server: Server, needs: { db: Database; clock: Clock }): void {
  const { db, clock } = needs
  server.post(
    '/content/add-favorite/',
    {
      config: { access: 'viewer', errorShape: 'message' },
      schema: {
        tags: ['Catalogue'],
        summary: 'Add a video to the favourites, or remove it',
        body: z.looseObject({ video_id: z.unknown().optional().meta({ type: 'integer' }) }),
        response: { 200: z.array(z.int()), 400: messageError, 404: messageError },
      },
    },
    async (request) => {
      const { userId } = viewerOf(request)
      await toggleFavorite(db, userId, videoIdOf(request.body.video_id), clock.now())
      return await listFavorites(db, userId)
    },
  )
}

/** An integer, or a string of digits; nothing is coerced. */
function videoIdOf(value: unknown): number {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  if (!/^\d{1,15}$/.test(text) || Number(text) === 0) {
    throw new AppError('invalid', 'Video ID is required.')
  }
  return Number(text)
}
