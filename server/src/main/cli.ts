#!/usr/bin/env node
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { Command } from 'commander'
import { VERSION } from '../version.ts'

// A young generation of 3 × 4 MB instead of 3 × 16: 20 MB less at rest, at no measurable cost.
setFlagsFromString('--semi-space-growth-factor=1')
setFlagsFromString('--max-semi-space-size=4')
// Keeps what the types were stripped from: starting is twice as fast, and 20 MB smaller.
enableCompileCache(join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'node'))

/** The only entry point. Each command's code is loaded when it is asked for, which keeps starting fast. */
const program = new Command('videoflix')
  .description('Self-hosted video on demand. Settings come from the environment or a .env file.')
  .version(VERSION)
  .showHelpAfterError()

program
  .command('serve')
  .description('serve the API and, unless TRANSCODE_LOCALLY=False, process films')
  .action(async () => (await import('./serve.ts')).serve())

program
  .command('worker')
  .description('process films and send mail, without serving')
  .action(async () => (await import('./worker.ts')).work())

program
  .command('migrate')
  .description('bring the database schema up to date')
  .action(async () => (await import('./migrate.ts')).migrateDatabase())

program
  .command('createsuperuser')
  .description('make a superuser')
  .option('--email <address>')
  .option('--password <password>')
  .action(async (options) => (await import('./create-superuser.ts')).createSuperuser(options))

program
  .command('import')
  .description('add films from this machine; a folder is searched for video files')
  .argument('<file...>', 'files or folders')
  .option('--title <title>', 'for a single file; otherwise its name is used')
  .option('--category <category>', 'such as Animation', 'Other')
  .option('--description <text>')
  .option('--wait', 'until a running server or worker has processed them')
  .action(async (files, options) => (await import('./import.ts')).importFilms(files, options))

program
  .command('rotate-secret')
  .description('print a new SECRET_KEY, and how to change over without signing anybody out')
  .action(async () => (await import('./rotate-secret.ts')).rotateSecret())

program
  .command('doctor')
  .description('check ffmpeg, database, storage, mail, clock and disk')
  .action(async () => (await import('./doctor.ts')).doctor())

try {
  await program.parseAsync()
} catch (error) {
  const { explain } = await import('./lifecycle.ts')
  process.stderr.write(`videoflix: ${explain(error)}\n`)
  process.exit(1)
}
