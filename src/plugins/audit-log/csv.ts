// CSV (RFC 4180) that no spreadsheet takes for formulas, and that reads back as it was: a cell that would start a formula,
// or starts with an apostrophe, gets an apostrophe in front, which reading takes away. Null is nothing, an empty text is `""`.

const RISKY = /^[=+\-@\t\r']/;
const SPECIAL = /[",\r\n]/;

function writeCell(value: string | number | null): string {
  if (value === null) return "";
  const text = String(value);
  const safe = typeof value === "string" && RISKY.test(text) ? `'${text}` : text;
  return safe === "" || SPECIAL.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** With its line break. */
export function writeCsvLine(cells: readonly (string | number | null)[]): string {
  return `${cells.map(writeCell).join(",")}\r\n`;
}

function readCell(text: string, isQuoted: boolean): string | null {
  if (text === "" && !isQuoted) return null;
  return text.startsWith("'") ? text.slice(1) : text;
}

export interface CsvReader {
  /** The complete records so far. */
  push(chunk: string): (string | null)[][];
}

/** Reads what {@link writeCsvLine} wrote, from chunks that may end anywhere. */
export function createCsvReader(): CsvReader {
  let cells: (string | null)[] = [];
  let cell = "";
  let isQuoted = false;
  let isOpen = false;
  let mayClose = false;
  const endCell = (): void => {
    cells.push(readCell(cell, isQuoted));
    [cell, isQuoted, isOpen, mayClose] = ["", false, false, false];
  };
  return {
    push(chunk) {
      const records: (string | null)[][] = [];
      for (const character of chunk) {
        if (isOpen && !mayClose) {
          if (character === '"') mayClose = true;
          else cell += character;
        } else if (character === '"') {
          // Two in a row are one; the first one of a cell opens it.
          if (mayClose) cell += '"';
          [isQuoted, isOpen, mayClose] = [true, true, false];
        } else if (character === ",") endCell();
        else if (character === "\n") {
          endCell();
          records.push(cells);
          cells = [];
        } else if (character !== "\r") cell += character;
      }
      return records;
    },
  };
}
