/** Finds and creates elements. */

/** Returns the element of index.html with this id. */
export const find = <Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind => {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return element;
};

/** Creates an element. Strings become text, never HTML: what people wrote enters the page only here. */
export const make = <Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] => {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
};

/** A person's initial on their colour. It is hidden from screen readers, because the name is next to it. */
export const avatar = (name: string): HTMLElement => {
  const element = make("span", "avatar", [...name][0]?.toUpperCase() ?? "");
  element.setAttribute("aria-hidden", "true");
  element.style.setProperty("--hue", String(hueOf(name)));
  return element;
};

/** The colour of a name, the same on every page. The golden angle makes the colours of similar names differ. */
export const hueOf = (name: string): number => {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)!) % 9973;
  return Math.round((hash * 137.508) % 360);
};
