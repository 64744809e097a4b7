import { AppError } from '../../errors.ts'

/** What went wrong in the folder of a backup, in a sentence where its owner can do something about it. */
export function explained(error: unknown, backupDir: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AppError(
      'disk_full',
      `The disk of ${backupDir} is full: free some space, then run the backup again.`,
      { cause: error },
    )
  }
  if (code === 'EEXIST') {
    return new AppError('misconfigured', `${backupDir} is a file: name a folder, or a new one.`, {
      cause: error,
    })
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EPERM') {
    return new AppError(
      'misconfigured',
      `The folder ${backupDir} cannot be written (${message}): change its owner, or choose another.`,
      { cause: error },
    )
  }
  return error
}
