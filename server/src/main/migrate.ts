import { launch, migrateOrExplain } from './lifecycle.ts'

/** `videoflix migrate`: several at once are fine; one works, the others wait. */
export async function migrateDatabase(): Promise<void> {
  const { app, settings } = await launch()
  try {
    const applied = await migrateOrExplain(settings)
    process.stdout.write(
      applied.length === 0
        ? 'The schema is up to date.\n'
        : applied.map((name) => `applied ${name}\n`).join(''),
    )
  } finally {
    await app.close()
  }
}
