import { endOnSignal, launch, prepare, processFacts } from './lifecycle.ts'
import { makeFirstSuperuser, type FirstSuperuser } from './first-superuser.ts'

/** `videoflix serve`: the server, with a worker inside unless TRANSCODE_LOCALLY=False. */
export async function serve(): Promise<void> {
  const started = await launch()
  const { app, settings, log, backendOrigin } = started
  await prepare(started)
  const superuser = await makeFirstSuperuser(app, settings.firstSuperuser)
  const server = await app.createServer()
  await server.listen(settings.listen)
  const worker = settings.tasks.workInServer ? app.createWorker(processFacts) : null
  worker?.start()

  endOnSignal(log, async () => {
    await Promise.all([server.close(), worker?.drain()])
    await app.close()
  })
  process.stdout.write(greeting(backendOrigin, superuser, settings.debug))
}

function greeting(origin: string, superuser: FirstSuperuser | null, isDebug: boolean): string {
  const lines = [
    '',
    `Videoflix is ready at ${origin}/`,
    `  upload films:   ${origin}/admin/`,
    `  read the API:   ${origin}/docs/`,
  ]
  if (isDebug) lines.push(`  see sent mail:  ${origin}/dev/mail/`)
  if (superuser) {
    lines.push('', `A first superuser was made: ${superuser.email}`)
    lines.push(
      superuser.password === null
        ? '  with the password from DJANGO_SUPERUSER_PASSWORD'
        : `  password: ${superuser.password}   (shown only this once)`,
    )
  }
  return `${lines.join('\n')}\n\n`
}
