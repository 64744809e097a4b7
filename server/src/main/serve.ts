import { drain } from '../http/draining.ts'
import { endOnSignal, freePort, launch, prepare, processFacts } from './lifecycle.ts'
import { makeFirstSuperuser, type FirstSuperuser } from './first-superuser.ts'

/** `videoflix serve`: the server, with a worker inside unless TRANSCODE_LOCALLY=False. */
export async function serve(): Promise<void> {
  const started = await launch('service')
  const { app, settings, log, backendOrigin } = started
  await prepare(started)
  settings.listen.port = await freePort(settings.listen)
  const superuser = await makeFirstSuperuser(app, settings.firstSuperuser)
  // Told at once: whatever fails after this, the password would be lost.
  if (superuser) process.stdout.write(introduction(superuser))
  const server = await app.createServer(processFacts)
  await server.listen(settings.listen)
  const worker = settings.tasks.workInServer ? app.createWorker(processFacts) : null
  worker?.start()

  const { drainDelayMs: delayMs } = settings.monitoring
  const end = async (): Promise<void> => {
    app.monitoring.readiness.end()
    await Promise.all([drain(server, { delayMs, patienceMs: PATIENCE_MS }), worker?.drain()])
    await app.close()
  }
  endOnSignal(log, end, delayMs)
  process.stdout.write(greeting(backendOrigin, settings.debug))
}

/** How long requests may take to end by themselves, a form with a film above all. */
const PATIENCE_MS = 20_000

function introduction({ email, password }: FirstSuperuser): string {
  const secret =
    password === null
      ? '  with the password from DJANGO_SUPERUSER_PASSWORD'
      : `  password: ${password}   (shown only this once)`
  return `\nA first superuser was made: ${email}\n${secret}\n`
}

function greeting(origin: string, isDebug: boolean): string {
  const lines = [
    '',
    `Videoflix is ready at ${origin}/`,
    `  upload films:   ${origin}/admin/`,
    `  read the API:   ${origin}/docs/`,
  ]
  if (isDebug) lines.push(`  see sent mail:  ${origin}/dev/mail/`)
  return `${lines.join('\n')}\n\n`
}
