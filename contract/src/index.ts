export * from './accounts.ts'
export * from './errors.ts'
export * from './fields.ts'
export * from './videos.ts'
