"""From the tables of ``results/`` to figures, ``results.json`` and the page.

Nothing here computes physics that is not already in the tables, apart from the integral of a
fitted model. Every part can be made again alone:

- :func:`daybreak.report.analysis.figures.draw_figures`: tables to figures;
- :func:`daybreak.report.analysis.results_json.write_results`: tables to one JSON file;
- :func:`daybreak.report.analysis.html.write_report`: tables and figures to one self-contained page.
"""
