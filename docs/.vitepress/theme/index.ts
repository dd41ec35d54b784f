/** VitePress's default theme, with room for lines of 120 columns. */
import theme from "vitepress/theme";
import "./layout.css";

export default theme;
