/** Sheets of small pictures for seeking. Stored as JSON. */
export interface Storyboard {
  /** From one picture to the next. */
  intervalMs: number
  tileWidth: number
  tileHeight: number
  columns: number
  rows: number
  /** How many pictures there are on all sheets. */
  tiles: number
  /** Object keys of the JPEGs, in order. */
  sheets: string[]
}
