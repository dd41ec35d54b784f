/** The two things that the page does with the DOM: find what index.html has, and make more. */

/** The element with this id, which index.html has. */
export const find = <Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind => {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return element;
};

/** A new element. Strings become text, never HTML: this is the one place where what people wrote enters the page. */
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

/** Somebody's initial on their colour. Decoration: the name stands beside it. */
export const avatar = (name: string): HTMLElement => {
  const element = make("span", "avatar", [...name][0]?.toUpperCase() ?? "");
  element.setAttribute("aria-hidden", "true");
  element.style.setProperty("--hue", String(hueOf(name)));
  return element;
};

/** The same name has the same colour everywhere. The golden angle keeps those of similar names apart. */
export const hueOf = (name: string): number => {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)!) % 9973;
  return Math.round((hash * 137.508) % 360);
};
