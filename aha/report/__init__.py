"""Reports: read run directories and nothing else; a table, a JSON object or one HTML page."""

from aha.report.page import write_html
from aha.report.reader import RunData, read_run
from aha.report.summary import show_json, summary_table, summary_text

__all__ = ["RunData", "read_run", "show_json", "summary_table", "summary_text", "write_html"]
