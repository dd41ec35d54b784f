/**
 * Which functions of `src/` can throw, or return a promise that rejects, and with which classes of errors.
 *
 * An approximation. It follows calls of functions, methods, accessors and constructors that `src/` defines, through an
 * interface to all that implement it, and into callbacks of arrays. It does not see what functions that are passed as
 * values throw, such as those of the application, nor what dependencies and most functions of the platform throw.
 */
// The API of TypeScript 7 is not stable yet: this is the TypeScript that also makes the API reference.
import ts from "../../packages/reference/node_modules/typescript/lib/typescript.js";

/** The class of an error that is not known, such as that of a rethrown error. */
export const UNKNOWN = "?";

/** What a function does that may throw. */
interface Effect {
  /** The class of the error, or the function that is called. */
  readonly source: string | ts.Node;
  /** The classes of errors that do not get out, because they are caught. */
  readonly caught: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

/** What functions of the platform throw for arguments that the application passes on. */
const PLATFORM: ReadonlyMap<string, string> = new Map([
  ["structuredClone", "DataCloneError"],
  ["encodeURIComponent", "URIError"],
  ["URL", "TypeError"],
]);

/** An expression without the type assertions around it. */
const withoutCasts = (node: ts.Expression): ts.Expression =>
  ts.isAsExpression(node) || ts.isParenthesizedExpression(node) || ts.isSatisfiesExpression(node)
    ? withoutCasts(node.expression)
    : node;

/** The values that an expression can have. */
const alternatives = (node: ts.Expression): readonly ts.Expression[] =>
  ts.isConditionalExpression(node) ? [...alternatives(node.whenTrue), ...alternatives(node.whenFalse)] : [node];

/** Methods of arrays that call their argument before they return. */
const CALLS_NOW = /^(every|filter|find|findIndex|flatMap|forEach|from|map|reduce|some)$/;

/** The function returns a promise, and never throws. */
const isAsync = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.AsyncKeyword) === true;

/** The expression with the parentheses and the conditional expressions around it. */
const outer = (node: ts.Node): ts.Node =>
  ts.isParenthesizedExpression(node.parent) || ts.isConditionalExpression(node.parent) ? outer(node.parent) : node;

/** The value of the expression, a promise, is awaited or returned: its rejection is one of the function. */
const isAwaited = (expression: ts.Node): boolean => {
  const { parent } = outer(expression);
  return (
    ts.isAwaitExpression(parent) ||
    ts.isReturnStatement(parent) ||
    ts.isYieldExpression(parent) ||
    (ts.isArrowFunction(parent) && parent.body === outer(expression))
  );
};

export class Throws {
  readonly #checker: ts.TypeChecker;
  readonly #effects = new Map<ts.Node, readonly Effect[]>();
  readonly #thrown = new Map<ts.Node, Set<string>>();
  /** By interface or class: the classes and objects that implement or extend it. */
  readonly #implementations = new Map<ts.Symbol, Set<ts.Node>>();
  readonly #trusted: ReadonlySet<string>;

  /** @param trusted the names of classes and interfaces whose members throw nothing */
  constructor(program: ts.Program, trusted: Iterable<string>) {
    this.#checker = program.getTypeChecker();
    this.#trusted = new Set(trusted);
    for (const file of program.getSourceFiles()) if (!file.isDeclarationFile) this.#findImplementations(file);
  }

  #findImplementations(node: ts.Node): void {
    if (ts.isClassLike(node)) {
      for (const { types } of node.heritageClauses ?? [])
        for (const type of types) this.#addImplementation(this.#checker.getTypeAtLocation(type), node);
    } else if (ts.isObjectLiteralExpression(node)) this.#addImplementation(this.#checker.getContextualType(node), node);
    else if (ts.isAsExpression(node)) {
      const made = withoutCasts(node);
      const maker = ts.isNewExpression(made) ? this.#symbolOf(made.expression)?.valueDeclaration : undefined;
      if (maker !== undefined) this.#addImplementation(this.#checker.getTypeAtLocation(node.type), maker);
    }
    ts.forEachChild(node, (child) => this.#findImplementations(child));
  }

  #addImplementation(type: ts.Type | undefined, by: ts.Node): void {
    if (type === undefined) return;
    if (type.isUnionOrIntersection()) for (const part of type.types) this.#addImplementation(part, by);
    if (type.symbol === undefined) return;
    const known = this.#implementations.get(type.symbol) ?? new Set();
    this.#implementations.set(type.symbol, known.add(by));
    for (const base of type.getBaseTypes() ?? []) this.#addImplementation(base, by);
  }

  /** The names of the classes of errors that the function, or the constructor of the class, can throw. */
  of(start: ts.Node): ReadonlySet<string> {
    const reached = new Set<ts.Node>();
    const add = (node: ts.Node): void => {
      if (reached.has(node)) return;
      reached.add(node);
      for (const { source } of this.#effectsOf(node)) if (typeof source !== "string") add(source);
    };
    add(start);
    // Functions may be mutually recursive: this is repeated until nothing is added.
    for (let isComplete = false; !isComplete; ) {
      isComplete = true;
      for (const node of reached) {
        const thrown = this.#thrownBy(node);
        const { size } = thrown;
        for (const { source, caught } of this.#effectsOf(node))
          for (const name of typeof source === "string" ? [source] : this.#thrownBy(source))
            if (!caught.has(name)) thrown.add(name);
        if (thrown.size > size) isComplete = false;
      }
    }
    return this.#thrownBy(start);
  }

  /** A chain of calls from the function to where the error is thrown. */
  pathOf(start: ts.Node, name: string): readonly ts.Node[] {
    const paths: (readonly [ts.Node, ...ts.Node[]])[] = [[start]];
    const visited = new Set<ts.Node>(paths[0]);
    for (const path of paths)
      for (const { source, caught } of this.#effectsOf(path[0])) {
        if (source === name) return path.toReversed();
        if (typeof source === "string" || caught.has(name) || visited.has(source)) continue;
        visited.add(source);
        paths.push([source, ...path]);
      }
    return [];
  }

  #thrownBy(node: ts.Node): Set<string> {
    const thrown = this.#thrown.get(node) ?? new Set();
    this.#thrown.set(node, thrown);
    return thrown;
  }

  #effectsOf(node: ts.Node): readonly Effect[] {
    const effects = this.#effects.get(node) ?? [...this.#collect(node)];
    this.#effects.set(node, effects);
    return effects;
  }

  *#collect(node: ts.Node): Generator<Effect> {
    if (!ts.isClassLike(node)) {
      yield* this.#inside(node, NONE);
      return;
    }
    const own = node.members.find((member) => ts.isConstructorDeclaration(member) && member.body !== undefined);
    if (own !== undefined) yield* this.#inside(own, NONE);
    else
      for (const clause of node.heritageClauses ?? [])
        if (clause.token === ts.SyntaxKind.ExtendsKeyword) yield* this.#to(clause.types[0]!.expression, NONE);
    for (const member of node.members)
      if (ts.isPropertyDeclaration(member) && member.initializer !== undefined)
        yield* this.#visit(member.initializer, NONE);
  }

  *#inside(node: ts.Node, caught: ReadonlySet<string>): Generator<Effect> {
    for (const child of node.getChildren()) if (!ts.isJSDoc(child)) yield* this.#visit(child, caught);
  }

  *#visit(node: ts.Node, caught: ReadonlySet<string>): Generator<Effect> {
    if (ts.isTypeNode(node)) return;
    if (ts.isFunctionLike(node) || ts.isClassLike(node)) {
      const call = node.parent;
      const isCalledNow =
        ts.isCallExpression(call) &&
        ts.isPropertyAccessExpression(call.expression) &&
        CALLS_NOW.test(call.expression.name.text);
      if (isCalledNow) yield* this.#inside(node, caught);
      return;
    }
    if (ts.isTryStatement(node)) {
      if (node.catchClause === undefined) yield* this.#visit(node.tryBlock, caught);
      else {
        const exceptions = this.#rethrows(node.catchClause);
        if (exceptions !== undefined) yield* this.#visit(node.tryBlock, new Set([...caught, ...exceptions]));
        yield* this.#visit(node.catchClause.block, caught);
      }
      if (node.finallyBlock !== undefined) yield* this.#visit(node.finallyBlock, caught);
      return;
    }
    if (ts.isThrowStatement(node))
      for (const error of alternatives(node.expression))
        if (!this.#isCaughtVariable(error)) yield { source: this.#className(error), caught };
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      const name = node.expression.getText();
      const error = PLATFORM.get(name);
      if (error !== undefined) yield { source: error, caught };
      else if (name !== "Promise.reject") yield* this.#to(node.expression, caught);
      else if (isAwaited(node)) yield { source: UNKNOWN, caught };
    } else if (
      ts.isPropertyAccessExpression(node) &&
      !(ts.isCallExpression(node.parent) && node.parent.expression === node)
    )
      yield* this.#accessor(node, caught);
    yield* this.#inside(node, caught);
  }

  /** The classes of errors that the clause does not throw again; `undefined` if it throws none. */
  #rethrows(clause: ts.CatchClause): ReadonlySet<string> | undefined {
    let found: ReadonlySet<string> | undefined;
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node)) return;
      if (ts.isThrowStatement(node) && alternatives(node.expression).some((its) => this.#isCaughtVariable(its))) {
        const condition = ts.isIfStatement(node.parent) ? node.parent.expression.getText() : "";
        const [, excepted] = /^!\(\w+ instanceof (\w+)\)$/.exec(condition) ?? [];
        found = new Set(excepted === undefined ? [] : [excepted]);
      }
      ts.forEachChild(node, visit);
    };
    visit(clause.block);
    return found;
  }

  #isCaughtVariable(expression: ts.Expression): boolean {
    const declaration = this.#checker.getSymbolAtLocation(expression)?.valueDeclaration;
    return declaration !== undefined && ts.isCatchClause(declaration.parent);
  }

  #className(error: ts.Expression): string {
    const type = this.#checker.getTypeAtLocation(error);
    const [part = type] = type.isIntersection() ? type.types : [];
    return part.symbol?.name ?? UNKNOWN;
  }

  /** The functions that a call of `expression` may call. */
  *#to(expression: ts.Expression, caught: ReadonlySet<string>): Generator<Effect> {
    const isWaitedFor = isAwaited(expression.parent);
    for (const target of this.functionsOf(this.#symbolOf(expression)))
      if (isWaitedFor || !isAsync(target)) yield { source: target, caught };
  }

  *#accessor(node: ts.PropertyAccessExpression, caught: ReadonlySet<string>): Generator<Effect> {
    const isWritten =
      ts.isBinaryExpression(node.parent) &&
      node.parent.left === node &&
      node.parent.operatorToken.kind === ts.SyntaxKind.EqualsToken;
    for (const declaration of this.#symbolOf(node)?.declarations ?? [])
      if (isWritten ? ts.isSetAccessor(declaration) : ts.isGetAccessor(declaration))
        yield { source: declaration, caught };
  }

  #symbolOf(expression: ts.Expression): ts.Symbol | undefined {
    const symbol = this.#checker.getSymbolAtLocation(
      ts.isPropertyAccessExpression(expression) ? expression.name : expression,
    );
    return symbol === undefined ? undefined : this.unalias(symbol);
  }

  /** What an imported name stands for. */
  unalias(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }

  /** The functions with a body that the symbol stands for: for a member of an interface, those that implement it. */
  functionsOf(symbol: ts.Symbol | undefined): readonly ts.Node[] {
    return (symbol?.declarations ?? []).flatMap((declaration) => {
      if (declaration.getSourceFile().isDeclarationFile) return [];
      if (ts.isClassLike(declaration)) return [declaration];
      const owner = declaration.parent;
      if ((ts.isClassLike(owner) || ts.isInterfaceDeclaration(owner)) && this.#trusted.has(owner.name?.text ?? ""))
        return [];
      if (ts.isInterfaceDeclaration(owner)) return this.#implementationsOf(declaration);
      if (ts.isFunctionLike(declaration)) {
        if ("body" in declaration && declaration.body) return [declaration];
        return ts.isClassLike(owner) ? this.#implementationsOf(declaration) : [];
      }
      const initializer =
        ts.isVariableDeclaration(declaration) ||
        ts.isPropertyDeclaration(declaration) ||
        ts.isPropertyAssignment(declaration)
          ? declaration.initializer && withoutCasts(declaration.initializer)
          : undefined;
      if (initializer === undefined) return [];
      if (ts.isFunctionLike(initializer)) return [initializer];
      return ts.isIdentifier(initializer) || ts.isPropertyAccessExpression(initializer)
        ? this.functionsOf(this.#symbolOf(initializer))
        : [];
    });
  }

  #implementationsOf(member: ts.Declaration): readonly ts.Node[] {
    const owner = this.#checker.getTypeAtLocation(member.parent).symbol;
    const name = this.#checker.getSymbolAtLocation((member as ts.NamedDeclaration).name!)?.name;
    return [...(this.#implementations.get(owner) ?? [])].flatMap((its) => {
      const found = name === undefined ? undefined : this.#checker.getTypeAtLocation(its).getProperty(name);
      const isInherited = found?.declarations?.some((its) => its === member || ts.isInterfaceDeclaration(its.parent));
      return isInherited ? [] : this.functionsOf(found);
    });
  }
}
