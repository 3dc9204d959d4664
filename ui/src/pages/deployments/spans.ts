// Running time and GPU hours for the eye; never rounded up, since they were seen.

import { count } from "../../format/number";

export function ran(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${count(Math.floor(seconds / 3600))} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export const hours = (seconds: number): string =>
  `${count(Math.floor(seconds / 3600))}.${Math.floor((seconds % 3600) / 360)} h`;
