import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import { CATEGORIES } from '@videoflix/contract'
import { resetPasswordPage } from '../accounts/pages.ts'
import type { CheckHealth } from '../health/health.ts'
import { isLoopback } from '../http/client.ts'
import { sendPage } from '../http/page.ts'
import type { Server } from '../http/server.ts'
import type { Mailbox } from '../ports/mailer/file-mailer.ts'
import { render } from '../templates/templates.ts'

const PUBLIC_DIR = join(import.meta.dirname, '..', '..', 'public')

/** What pages take from packages, by the folder below `/assets/` in which they ask for it. */
const LIBRARIES = {
  hls: fileURLToPath(import.meta.resolve('hls.js/dist/hls.min.mjs')),
  thumbhash: fileURLToPath(import.meta.resolve('thumbhash')),
}

/** The few pages that people see without the web client. */
export async function pageRoutes(
  server: Server,
  needs: {
    checkHealth: CheckHealth
    mailbox: Mailbox | null
    passwordMinLength: number
    /** Where media is, if not here. */
    mediaOrigin: string | null
    /** Where jobs are shown. */
    jobsPath: string
  },
): Promise<void> {
  const { checkHealth, mailbox, passwordMinLength, mediaOrigin, jobsPath } = needs
  const page = { config: { access: 'public' }, schema: { hide: true } } as const

  await server.register(fastifyStatic, {
    root: PUBLIC_DIR,
    prefix: '/assets/',
    index: false,
    decorateReply: false,
    schemaHide: true,
  })
  for (const [folder, file] of Object.entries(LIBRARIES)) {
    await server.register(fastifyStatic, {
      root: dirname(file),
      prefix: `/assets/${folder}/`,
      index: false,
      decorateReply: false,
      schemaHide: true,
      allowedPath: (path) => path === `/${basename(file)}`,
    })
  }

  server.get('/', page, async (_request, reply) => {
    const { status, components } = await checkHealth()
    const failing = Object.entries(components)
      .filter(([, state]) => state !== 'ok')
      .map(([name]) => name)
      .join(', ')
    return sendPage(
      reply,
      render('pages/home', { isHealthy: status === 'ok', failing, isDebug: mailbox !== null }),
    )
  })

  server.get('/reset-password/', page, (_request, reply) =>
    sendPage(reply, resetPasswordPage(passwordMinLength)),
  )

  server.get('/admin/', page, (_request, reply) =>
    sendPage(
      reply,
      render('pages/admin', { categories: CATEGORIES, hasBucket: mediaOrigin !== null }),
      { hasPlayer: true, mediaOrigin },
    ),
  )

  // Where the original showed its jobs: bookmarks still lead somewhere.
  server.get('/django-rq/', page, (_request, reply) => reply.redirect(jobsPath, 302))

  if (!mailbox) return
  server.get('/dev/mail/', page, async (request, reply) => {
    // Mails hold live links. A proxy on this machine makes the world look local, so it does not count.
    if (!isLoopback(request)) return await reply.code(404).send({ detail: 'Not found.' })
    const mails = (await mailbox.list()).map((mail) => ({ ...mail, links: linksIn(mail.html) }))
    return sendPage(reply, render('pages/mailbox', { mails }))
  })
}

function linksIn(html: string): string[] {
  return [...html.matchAll(/href="(https?:[^"]+)"/g)].map(([, link = '']) =>
    link.replaceAll('&amp;', '&'),
  )
}
