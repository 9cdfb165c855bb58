/** Shell text in TypeScript. Invariant: what is written is what the shell reads, except that `\${` stands for `${`. */

/** Tags a template that holds sh. It takes no substitutions: values reach a script quoted, as arguments, never by pasting. */
export function sh(text: TemplateStringsArray): string {
  return text.raw.join('').replaceAll('\\${', '${')
}
